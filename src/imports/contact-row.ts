import { MAX_ATTRIBUTES_BYTES, MAX_TAGS, tag, telegramChatId, timeZone } from "../contacts/schema.ts";
import { AppError, type FieldProblem } from "../errors.ts";
import type { Json } from "../events/event.ts";
import { email } from "../http/fields.ts";
import { checkValue } from "../http/json-body.ts";
import { type CellType, type Mapping, parseTarget, type Target } from "./mapping.ts";

/** A contact as a row gives it; what is null or not there stays as it is in a contact that exists. */
export type ImportedContact = {
  email: string;
  timeZone: string | null;
  telegramChatId: number | null;
  tags: string[];
  attributes: { [key: string]: Json };
};

export type RowReader<Row> = (cells: readonly string[]) => { row: Row } | { problem: FieldProblem };

type Reading<Value> = { value: Value } | { reason: string };

const emailSchema = email();
// Making a date format to see whether there is such a zone takes longer than all the rest of a row.
const MAX_KNOWN_ZONES = 1_000;
const MAX_JSON_GROWTH = 6;

/**
 * How the rows of a file are read as contacts. An empty cell says nothing, a JSON cell of null neither.
 * @param mapping one that `checkMapping` found nothing wrong with
 */
export function contactReader(
  columns: readonly string[],
  mapping: Mapping,
  { tagsSeparator, addTags }: { tagsSeparator: string; addTags: readonly string[] },
): RowReader<ImportedContact> {
  // A column may be called constructor.
  const names = new Map(Object.entries(mapping));
  const targets = columns.flatMap((column, at) => {
    const name = names.get(column) ?? null;
    const target = name === null ? null : parseTarget("contacts", name);
    return target === null || name === null ? [] : [{ at, name, target }];
  });
  const zones = new Map<string, Reading<string>>();

  return (cells) => {
    const row: ImportedContact = {
      email: "",
      timeZone: null,
      telegramChatId: null,
      tags: [...addTags],
      attributes: {},
    };
    let chars = 0;
    for (const { at, name, target } of targets) {
      const cell = cells[at] ?? "";
      if (cell === "") continue;
      chars += cell.length + name.length;
      const reason = read(row, target, cell, { tagsSeparator, zones });
      if (reason !== null) return { problem: { field: name, reason } };
    }
    if (row.email === "") return { problem: { field: "email", reason: "is required" } };
    return limits(row, chars);
  };
}

type Reader = { tagsSeparator: string; zones: Map<string, Reading<string>> };

/** Puts a cell into the row. @returns why it cannot be that, or null */
function read(row: ImportedContact, target: Target, cell: string, reader: Reader): string | null {
  const word = cell.trim();
  switch (target.field) {
    case "email":
      row.email = word;
      return reasonOf(emailSchema.safeParse(word));
    case "timeZone": {
      const zone = readZone(reader.zones, word);
      if ("reason" in zone) return zone.reason;
      row.timeZone = zone.value;
      return null;
    }
    case "telegramChatId":
      row.telegramChatId = Number(word);
      return /^-?\d{1,16}$/.test(word)
        ? reasonOf(telegramChatId.safeParse(Number(word)))
        : "must be a whole number";
    case "tags":
      return readTags(row, target.as, cell, reader.tagsSeparator);
    case "attributes":
      return readAttribute(row, target.key, target.as, cell);
    default:
      return null;
  }
}

function readTags(row: ImportedContact, as: "text" | "json", cell: string, separator: string): string | null {
  const json = as === "json" ? readJson(cell) : { value: cell.split(separator) };
  if ("reason" in json) return json.reason;
  if (!Array.isArray(json.value)) return "must be a JSON list of texts";
  for (const item of json.value) {
    if (typeof item === "string" && item.trim() === "") continue;
    const parsed = tag.safeParse(item);
    if (!parsed.success) return `the tag ${JSON.stringify(item)} ${reasonOf(parsed)}`;
    if (!row.tags.includes(parsed.data)) row.tags.push(parsed.data);
  }
  return null;
}

function readAttribute(row: ImportedContact, key: string | null, as: CellType, cell: string): string | null {
  const read = readCell(as, cell);
  if ("reason" in read) return read.reason;
  if (key !== null) {
    if (read.value !== null) row.attributes[key] = read.value;
    return null;
  }
  if (typeof read.value !== "object" || read.value === null || Array.isArray(read.value))
    return "must be a JSON object";
  for (const [name, value] of Object.entries(read.value)) if (value !== null) row.attributes[name] = value;
  return null;
}

const BOOLEANS = new Map([
  ...["true", "yes", "1"].map((word): [string, boolean] => [word, true]),
  ...["false", "no", "0"].map((word): [string, boolean] => [word, false]),
]);

function readCell(as: CellType, cell: string): Reading<Json> {
  if (as === "text") return { value: cell };
  if (as === "json") return readJson(cell);
  if (as === "boolean") {
    const value = BOOLEANS.get(cell.toLowerCase());
    return value === undefined ? { reason: "must be true or false, yes or no, 1 or 0" } : { value };
  }
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(cell) ? Number(cell) : Number.NaN;
  return Number.isFinite(value) ? { value } : { reason: "must be a number such as 12.5" };
}

function readJson(cell: string): Reading<Json> {
  try {
    const value: Json = JSON.parse(cell);
    checkValue(value, []);
    return { value };
  } catch (error) {
    return { reason: error instanceof AppError ? error.message : "is not valid JSON" };
  }
}

function readZone(zones: Map<string, Reading<string>>, name: string): Reading<string> {
  const known = zones.get(name);
  if (known !== undefined) return known;
  const reason = reasonOf(timeZone.safeParse(name));
  const reading = reason === null ? { value: name } : { reason };
  if (zones.size < MAX_KNOWN_ZONES) zones.set(name, reading);
  return reading;
}

function limits(row: ImportedContact, chars: number): { row: ImportedContact } | { problem: FieldProblem } {
  if (row.tags.length > MAX_TAGS)
    return { problem: { field: "tags", reason: `must be at most ${MAX_TAGS} tags` } };
  const mayBeTooLarge = chars * MAX_JSON_GROWTH > MAX_ATTRIBUTES_BYTES;
  if (mayBeTooLarge && Buffer.byteLength(JSON.stringify(row.attributes)) > MAX_ATTRIBUTES_BYTES)
    return {
      problem: { field: "attributes", reason: `must have at most ${MAX_ATTRIBUTES_BYTES} bytes as JSON` },
    };
  return { row };
}

function reasonOf(parsed: { error?: { issues: readonly { message: string }[] } | undefined }): string | null {
  return parsed.error?.issues[0]?.message ?? null;
}
