import { email } from "../http/fields.ts";
import { domainAddress } from "../suppressions/address.ts";
import { REASONS, type Reason } from "../suppressions/reasons.ts";
import type { RowReader } from "./contact-row.ts";
import { type Mapping, parseTarget } from "./mapping.ts";

export type ImportedSuppression = {
  channel: "email" | "telegram";
  /** As the list keeps it: in lower case, a domain as `@example.com`. */
  address: string;
  reason: Reason;
  /** ISO 8601; null: now. */
  createdAt: string | null;
};

const emailSchema = email();

// What other systems call the same, as `letters` makes it.
const REASON_NAMES = new Map<string, Reason>([
  ...REASONS.map((reason): [string, Reason] => [reason, reason]),
  ...words("unsubscribe", "unsubscribed unsubscribes optout optedout globalunsubscribe abgemeldet desabonne"),
  ...words("bounce", "bounced bounces hardbounce hardbounced hardbounces permanentbounce cleaned invalid"),
  ...words("complaint", "complaints complained spam spamcomplaint spamreport spamreports abuse"),
  ...words("manual", "manually suppressed admin other"),
]);

/**
 * How the rows of a file are read as suppressions. An address is an email address, `@example.com` for a domain, or a
 * chat's number where the channel is telegram.
 * @param reason of rows that give none
 */
export function suppressionReader(
  columns: readonly string[],
  mapping: Mapping,
  { reason }: { reason: Reason },
): RowReader<ImportedSuppression> {
  const names = new Map(Object.entries(mapping));
  const places = new Map(
    columns.flatMap((column, at) => {
      const target = parseTarget("suppressions", names.get(column) ?? "");
      return target === null ? [] : [[target.field, at] as const];
    }),
  );
  return (cells) => {
    const cell = (field: "address" | "channel" | "reason" | "createdAt") =>
      (cells[places.get(field) ?? -1] ?? "").trim();
    const channel = cell("channel").toLowerCase() || "email";
    if (channel !== "email" && channel !== "telegram") return refuse("channel", "must be email or telegram");
    const address = readAddress(channel, cell("address"));
    if (typeof address === "object") return refuse("address", address.reason);
    const given = cell("reason") === "" ? reason : REASON_NAMES.get(letters(cell("reason")));
    if (given === undefined) return refuse("reason", `must be one of ${REASONS.join(", ")}`);
    const createdAt = cell("createdAt") === "" ? null : isoTime(cell("createdAt"));
    if (createdAt === undefined)
      return refuse("createdAt", "must be an ISO 8601 time such as 2026-03-06T20:00:26Z");
    return { row: { channel, address, reason: given, createdAt } };
  };
}

function readAddress(channel: "email" | "telegram", cell: string): string | { reason: string } {
  if (cell === "") return { reason: "is required" };
  if (channel === "telegram")
    return /^-?[1-9]\d{0,15}$/.test(cell) ? cell : { reason: "must be the number of a Telegram chat" };
  const domain = cell.startsWith("@") ? domainAddress(cell.slice(1)) : null;
  if (domain !== null) return domain;
  return emailSchema.safeParse(cell).success
    ? cell.toLowerCase()
    : { reason: "must be an email address such as ann@example.com, or a domain such as @example.com" };
}

const ISO_TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/i;

/** A time without a zone is UTC. */
function isoTime(text: string): string | undefined {
  if (!ISO_TIME.test(text)) return undefined;
  const hasZone = text.length === 10 || /(?:Z|[+-]\d\d:?\d\d)$/i.test(text.slice(10));
  const ms = Date.parse(hasZone ? text : `${text}Z`);
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString();
}

function refuse(field: string, reason: string) {
  return { problem: { field, reason } };
}

function words(reason: Reason, names: string): [string, Reason][] {
  return names.split(" ").map((name) => [name, reason]);
}

function letters(text: string): string {
  return text
    .normalize("NFD")
    .toLowerCase()
    .replaceAll(/[^a-z]/g, "");
}
