import type { FieldProblem } from "../errors.ts";

const CONTROL = /[\p{Cc}\u2028\u2029]/u;
/** PostgreSQL takes no NUL in text, and half a character can't be encoded as UTF-8. */
const UNSTORABLE = /[\0\p{Surrogate}]/u;
const SHOWN_LENGTH = 200;

/** The one problem that there is, unless `reason` is null. */
export function problem(field: string, subject: string, reason: string | null): FieldProblem[] {
  return reason === null ? [] : [{ field, reason: `${subject} ${reason}` }];
}

/** Why it can't be put into a header or shown on one line, or null. */
export function lineProblem(text: string): string | null {
  if (CONTROL.test(text)) return "must not contain line breaks or control characters";
  return textProblem(text);
}

/** Why it can't be a text of several lines, or null. */
export function textProblem(text: string): string | null {
  if (text.trim() === "") return "must not be empty";
  return isStorable(text) ? null : "must not contain NUL or halves of surrogate pairs";
}

export function isStorable(text: string): boolean {
  return !UNSTORABLE.test(text);
}

/** The problem of each that has the key of an earlier one. */
export function repeated<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  problemOf: (item: T, index: number, first: number) => FieldProblem[],
): FieldProblem[] {
  const first = new Map<string, number>();
  return items.flatMap((item, index) => {
    const other = first.get(keyOf(item));
    if (other === undefined) first.set(keyOf(item), index);
    return other === undefined ? [] : problemOf(item, index, other);
  });
}

/** A text of users for a sentence. */
export function shortened(text: string): string {
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text;
}
