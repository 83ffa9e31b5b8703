import type { FieldProblem } from "../errors.ts";

export const KINDS = ["contacts", "suppressions"] as const;

export type Kind = (typeof KINDS)[number];

/** Column name → what its cells are. A column that is not named, or null, is left out. */
export type Mapping = Readonly<Record<string, string | null>>;

export const CELL_TYPES = ["text", "number", "boolean", "json"] as const;

export type CellType = (typeof CELL_TYPES)[number];

/** What the cells of a column are: `key` is the attribute's, null for all attributes in one JSON object. */
export type Target =
  | { field: "email" | "timeZone" | "telegramChatId" | "address" | "channel" | "reason" | "createdAt" }
  | { field: "tags"; as: "text" | "json" }
  | { field: "attributes"; key: string | null; as: CellType };

const PLAIN = {
  contacts: ["email", "timeZone", "telegramChatId"],
  suppressions: ["address", "channel", "reason", "createdAt"],
} as const satisfies Record<Kind, readonly Target["field"][]>;

const REQUIRED = { contacts: "email", suppressions: "address" } as const;

/** The first columns of a report of refused lines, which may be mended and imported as it is. */
export const REFUSAL_COLUMNS = ["refusedRow", "refusedField", "refusedReason"] as const;

const MAX_PROPOSED_LENGTH = 100;
// A key of these names could reach an object's prototype in some later merge.
const FORBIDDEN_KEYS = new Set(["__proto__", "constructor", "prototype"]);
const ADDRESS = /^@?[^\s@]+@[^\s@]+\.[^\s@]+$|^@[^\s@]+\.[^\s@]+$/;

// Names as `simplified` makes them.
const EMAIL_NAMES = new Set(
  (
    "email emailaddress emails mail mailaddress emailadresse mailadresse epost epostadresse correo correoelectronico " +
    "adressemail adresseemail adresseelectronique courriel indirizzoemail emailaddresses subscriberemail contactemail " +
    "useremail primaryemail workemail email1 email1value"
  ).split(" "),
);
const SPELLINGS: Record<Kind, readonly { target: string; names: ReadonlySet<string> }[]> = {
  contacts: [
    { target: "email", names: EMAIL_NAMES },
    {
      target: "timeZone",
      names: new Set([
        "timezone",
        "tz",
        "zeitzone",
        "fuseauhoraire",
        "zonahoraria",
        "fusoorario",
        "tijdzone",
      ]),
    },
    { target: "telegramChatId", names: new Set(["telegramchatid", "telegramid", "telegramchat", "chatid"]) },
    {
      target: "tags",
      names: new Set(["tags", "tag", "labels", "label", "etiquettes", "etiquetas", "schlagworte"]),
    },
    {
      target: "attributes.firstName",
      names: new Set(["firstname", "fname", "givenname", "vorname", "prenom", "nombre", "voornaam"]),
    },
    {
      target: "attributes.lastName",
      names: new Set([
        "lastname",
        "lname",
        "surname",
        "familyname",
        "nachname",
        "nom",
        "apellido",
        "achternaam",
      ]),
    },
  ],
  suppressions: [
    {
      target: "address",
      names: new Set([...EMAIL_NAMES, "address", "recipient", "domain", "emailordomain"]),
    },
    { target: "channel", names: new Set(["channel"]) },
    {
      target: "reason",
      names: new Set(["reason", "type", "cause", "status", "suppressiontype", "grund", "motif"]),
    },
    {
      target: "createdAt",
      names: new Set(["createdat", "created", "date", "addedat", "suppressedat", "lastupdatetime", "datum"]),
    },
  ],
};

/**
 * What the columns of a file most likely are, by their names in several common spellings, else by their cells. What
 * a contact has no field for becomes an attribute.
 */
export function proposeMapping(
  kind: Kind,
  columns: readonly string[],
  sample: readonly (readonly string[])[],
): Record<string, string | null> {
  const proposed = new Map<string, string>();
  const taken = new Set<string>();
  const propose = (column: string | undefined, name: string | null) => {
    const target = name === null ? null : parseTarget(kind, name);
    if (column === undefined || name === null || target === null) return;
    if (proposed.has(column) || taken.has(targetName(target))) return;
    proposed.set(column, name);
    taken.add(targetName(target));
  };
  const open = columns.filter((column) => !REFUSAL_COLUMNS.some((name) => name === column));
  for (const column of open) propose(column, column);
  for (const column of open) propose(column, spelled(kind, column));
  const addresses = columns.findIndex((_, at) => sample.some((cells) => ADDRESS.test(cells[at] ?? "")));
  propose(columns[addresses], REQUIRED[kind]);
  for (const column of open) propose(column, `attributes.${camelCase(column)}`);
  return Object.fromEntries(columns.map((column) => [column, proposed.get(column) ?? null]));
}

/** Everything that keeps a mapping from being used with these columns. */
export function checkMapping(kind: Kind, columns: readonly string[], mapping: Mapping): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const columnOf = new Map<string, string>();
  for (const [column, name] of Object.entries(mapping)) {
    const field = `mapping.${column}`;
    if (!columns.includes(column)) problems.push({ field, reason: "is not a column of the file" });
    if (name === null) continue;
    const target = parseTarget(kind, name);
    const same = target === null ? undefined : columnOf.get(targetName(target));
    if (target === null) problems.push({ field, reason: `must be null or one of ${namesOf(kind)}` });
    else if (same !== undefined) problems.push({ field, reason: `is what the column ${same} is already` });
    else columnOf.set(targetName(target), column);
  }
  const required = REQUIRED[kind];
  if (problems.length === 0 && !columnOf.has(required))
    problems.push({ field: "mapping", reason: `must say which column is ${required}` });
  return problems;
}

/** @returns null when a mapping may not say this */
export function parseTarget(kind: Kind, name: string): Target | null {
  const plain = PLAIN[kind].find((known) => known === name);
  if (plain !== undefined) return { field: plain };
  if (kind !== "contacts") return null;
  const [, text = "", suffix] = /^(.*?)(?::(text|number|boolean|json))?$/s.exec(name) ?? [];
  const as = CELL_TYPES.find((type) => type === suffix) ?? "text";
  if (text === "tags" && (as === "text" || as === "json")) return { field: "tags", as };
  if (text === "attributes" && as === "json") return { field: "attributes", key: null, as };
  if (!text.startsWith("attributes.")) return null;
  const key = text.slice("attributes.".length);
  if (FORBIDDEN_KEYS.has(key) || key.includes("\0")) return null;
  return { field: "attributes", key, as };
}

/** A target without its type: two columns of one name would each overwrite the other's cells. */
function targetName(target: Target): string {
  return target.field === "attributes" && target.key !== null ? `attributes.${target.key}` : target.field;
}

function namesOf(kind: Kind): string {
  const plain = PLAIN[kind].join(", ");
  return kind === "contacts"
    ? `${plain}, tags, tags:json, attributes.<name> (with :number, :boolean or :json behind it if it is one), attributes:json`
    : plain;
}

function spelled(kind: Kind, column: string): string | null {
  const name = simplified(column);
  return SPELLINGS[kind].find(({ names }) => names.has(name))?.target ?? null;
}

function simplified(name: string): string {
  return name
    .normalize("NFD")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]/gu, "");
}

function camelCase(column: string): string {
  const words = column.match(/[\p{L}\p{N}]+/gu) ?? ["column"];
  const [first = "", ...others] = words.map((word) =>
    word === word.toUpperCase() ? word.toLowerCase() : word,
  );
  const name = [
    first.charAt(0).toLowerCase() + first.slice(1),
    ...others.map((word) => word.charAt(0).toUpperCase() + word.slice(1)),
  ].join("");
  return FORBIDDEN_KEYS.has(name) ? `${name}1` : name.slice(0, MAX_PROPOSED_LENGTH);
}
