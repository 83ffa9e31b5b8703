import type { FieldProblem } from "../errors.ts";
import type { Json } from "../events/event.ts";
import type { BulkRow } from "./queries.ts";

type Attributes = { [key: string]: Json };

/** The attributes after a change: merged at the top level, those given as null removed. */
export function mergeAttributes(existing: Attributes, change: Attributes): Attributes {
  return Object.fromEntries(Object.entries({ ...existing, ...change }).filter(([, value]) => value !== null));
}

export type NumberedRow = { index: number; row: BulkRow };

export type RefusedRow = FieldProblem & { index: number };

/**
 * Within one request the last row of an email wins. A chat may then still be claimed by two emails: the last
 * one keeps it.
 */
export function settleRows(rows: readonly NumberedRow[]): { rows: NumberedRow[]; refused: RefusedRow[] } {
  const lastOfEmail = new Map(rows.map((numbered) => [numbered.row.email.toLowerCase(), numbered]));
  const settled = [...lastOfEmail.values()].sort((a, b) => a.index - b.index);
  const lastOfChat = new Map(settled.map(({ row, index }) => [row.telegramChatId, index]));
  const refused: RefusedRow[] = [];
  const kept = settled.filter(({ row, index }) => {
    const winner = lastOfChat.get(row.telegramChatId) ?? index;
    if (row.telegramChatId === null || winner === index) return true;
    refused.push({ index, field: "telegramChatId", reason: `is also that of row ${winner}` });
    return false;
  });
  return { rows: kept, refused };
}
