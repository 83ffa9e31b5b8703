import { CATALOGUE_TYPES, type CatalogueType } from "./catalogue-types.ts";

/** `*` stands for any characters, also none. */
export const PATTERN = /^[a-z_*]{1,64}$/;

/** The types of the catalogue that a pattern stands for. */
export function typesOf(pattern: string): readonly CatalogueType[] {
  // Stars side by side say the same as one, and would take the matcher years.
  const matcher = new RegExp(`^${pattern.replaceAll(/\*+/g, ".*")}$`);
  return CATALOGUE_TYPES.filter((type) => matcher.test(type));
}

/** The same pattern for PostgreSQL's `like`. */
export function toLikePattern(pattern: string): string {
  return pattern.replaceAll("_", "\\_").replaceAll("*", "%");
}

/**
 * Why a pattern is of no use: it is none, or stands for no type there is.
 * @returns null when it is; otherwise the reason, to follow the field's name
 */
export function patternProblem(pattern: string): string | null {
  if (!PATTERN.test(pattern)) return "must be an event type such as email_opened, with * for any characters";
  if (typesOf(pattern).length > 0) return null;
  return `is no event type; the nearest is ${nearestType(pattern)} (GET /api/v1/event-types lists all)`;
}

function nearestType(pattern: string): string {
  const plain = pattern.replaceAll("*", "");
  const ranked = CATALOGUE_TYPES.map((type) => ({ type, distance: editDistance(plain, type) }));
  return ranked.reduce((best, next) => (next.distance < best.distance ? next : best)).type;
}

/** Levenshtein's. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (const [column, other] of [...to].entries()) {
      const replaced = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
