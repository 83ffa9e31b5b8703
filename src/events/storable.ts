import type { Json } from "./event.ts";

/** Text as PostgreSQL keeps it: without NUL characters, and with U+FFFD for halves of surrogate pairs. */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "");
}

/** The same for every text in a JSON value, names included. */
export function storableJson(value: Json): Json {
  if (typeof value === "string") return storableText(value);
  if (Array.isArray(value)) return value.map(storableJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [storableText(name), storableJson(member)]),
  );
}
