import type { Json } from "../events/event.ts";

/** What the contacts to be exported have, found by a look at all of them. */
export type Shape = {
  /** Attributes, and whether all of their values are texts that are not empty. */
  keys: { key: string; isText: boolean }[];
  /** Whether a tag contains what else would separate two tags. */
  hasAmbiguousTags: boolean;
};

export type ExportedContact = {
  email: string | null;
  timeZone: string | null;
  telegramChatId: number | null;
  tags: string[];
  attributes: { [key: string]: Json };
};

export type Columns = { header: string[]; cells(contact: ExportedContact): string[] };

/** With more attributes than this all of a contact's are one JSON object in one column. */
export const MAX_ATTRIBUTE_COLUMNS = 500;

const TAGS_SEPARATOR = ",";
const HAS_TYPE = /:(?:text|number|boolean|json)$/;

/**
 * The columns of an export, which an import reads as they are meant: their names say what they are. A column whose
 * values are not all texts has `:json` in its name and JSON in its cells, so that 5 and "5" stay two things; so has one
 * with an empty text, which an empty cell would not say.
 */
export function contactColumns({ keys, hasAmbiguousTags }: Shape): Columns {
  const attributes =
    keys.length > MAX_ATTRIBUTE_COLUMNS
      ? [{ name: "attributes:json", cell: ({ attributes }: ExportedContact) => JSON.stringify(attributes) }]
      : keys.map(({ key, isText }) => attributeColumn(key, isText));
  const columns = [
    { name: "email", cell: ({ email }: ExportedContact) => email ?? "" },
    { name: "timeZone", cell: ({ timeZone }: ExportedContact) => timeZone ?? "" },
    { name: "telegramChatId", cell: ({ telegramChatId }: ExportedContact) => String(telegramChatId ?? "") },
    tagsColumn(hasAmbiguousTags),
    ...attributes,
  ];
  return {
    header: columns.map(({ name }) => name),
    cells: (contact) => columns.map(({ cell }) => cell(contact)),
  };
}

function attributeColumn(key: string, isText: boolean) {
  const isPlain = isText && !HAS_TYPE.test(key);
  return {
    name: isPlain ? `attributes.${key}` : `attributes.${key}:json`,
    cell({ attributes }: ExportedContact) {
      const value = Object.hasOwn(attributes, key) ? attributes[key] : undefined;
      if (value === undefined) return "";
      return isPlain && typeof value === "string" ? value : JSON.stringify(value);
    },
  };
}

function tagsColumn(hasAmbiguousTags: boolean) {
  return hasAmbiguousTags
    ? {
        name: "tags:json",
        cell: ({ tags }: ExportedContact) => (tags.length === 0 ? "" : JSON.stringify(tags)),
      }
    : { name: "tags", cell: ({ tags }: ExportedContact) => tags.join(TAGS_SEPARATOR) };
}
