import type { Reason } from "../suppressions/reasons.ts";
import type { Format } from "./detect.ts";
import type { Encoding } from "./encoding.ts";
import type { Kind, Mapping } from "./mapping.ts";

export const STATUSES = [
  "uploading",
  "uploaded",
  "running",
  "paused",
  "completed",
  "cancelled",
  "failed",
  "expired",
] as const;

/**
 * `uploading` → `uploaded` → `running` ⇄ `paused` → `completed`; `cancelled` by somebody, `failed` when the database
 * refuses what is in the file, `expired` when nobody started it or went on with it for a week.
 */
export type Status = (typeof STATUSES)[number];

export type ImportKey = { customerId: string; id: string; kind: Kind };

export type FileFormat = Format & { encoding: Encoding };

export type Preview = { mapping: Record<string, string | null>; sample: string[][] };

export type ContactSettings = {
  mapping: Mapping;
  /** What stands between two tags in a cell. */
  tagsSeparator: string;
  /** Given to everybody in the file. */
  addTags: string[];
  onExisting: "update" | "skip";
};

export type SuppressionSettings = {
  mapping: Mapping;
  /** Of rows that give none. */
  reason: Reason;
};

export type Settings = ContactSettings | SuppressionSettings;

export type Import = ImportKey & {
  status: Status;
  problem: string | null;
  sizeBytes: number;
  chunks: number;
  /** Null while it is being uploaded. */
  format: FileFormat | null;
  preview: Preview | null;
  settings: Settings | null;
  nextChunk: number;
  nextOffset: number;
  nextRow: number;
  doneBytes: number;
  created: number;
  updated: number;
  unchanged: number;
  refused: number;
  workedMs: number;
  createdAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
};

export function isForContacts(settings: Settings): settings is ContactSettings {
  return "onExisting" in settings;
}
