import { isDeepStrictEqual } from "node:util";
import type { z } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import { invalid } from "../http/problem.ts";
import type { Db } from "../storage/pool.ts";
import type { Import, ImportKey, Settings, Status } from "./import.ts";
import { checkMapping } from "./mapping.ts";
import { changeStatus, deleteChunks, findChunk, findImport, saveUpload, startImport } from "./queries.ts";
import { type contactStart, type reading, separatorOf, type suppressionStart } from "./schema.ts";
import { readHead } from "./upload.ts";

export type Start = z.infer<typeof contactStart> | z.infer<typeof suppressionStart>;

const CHANGES = {
  pause: { from: ["running"], to: "paused" },
  resume: { from: ["paused"], to: "running" },
  cancel: { from: ["uploaded", "running", "paused"], to: "cancelled" },
} as const satisfies Record<string, { from: readonly Status[]; to: Status }>;

/** @throws AppError when the customer has no such import */
export async function existingImport(db: Db, key: ImportKey): Promise<Import> {
  const job = await findImport(db, key);
  if (job === null) throw new AppError("not_found", "There is no import with this id.");
  return job;
}

/**
 * Begins an import. With the same settings as before it changes nothing.
 * @throws AppError when the mapping does not fit the file, or it has been begun otherwise
 */
export async function startUploaded(db: Db, key: ImportKey, { mapping, ...others }: Start): Promise<Import> {
  const job = await existingImport(db, key);
  const settings: Settings = { ...others, mapping: mapping ?? job.preview?.mapping ?? {} };
  const problems = checkMapping(key.kind, job.format?.columns ?? [], settings.mapping);
  if (job.status !== "uploading" && problems.length > 0) throw invalid(problems);
  const started = await startImport(db, key, settings);
  if (started !== null) return started;
  const now = await existingImport(db, key);
  if (now.startedAt !== null && isDeepStrictEqual(now.settings, settings)) return now;
  throw mustBe(now, ["uploaded"]);
}

/**
 * Reads an upload's head once more, as somebody says who knows better.
 * @throws AppError when it has been started, or reads as nothing
 */
export async function rereadImport(db: Db, key: ImportKey, change: z.infer<typeof reading>): Promise<Import> {
  const job = await existingImport(db, key);
  const chunk = await findChunk(db, key, 0);
  if (job.status !== "uploaded" || job.format === null || chunk === null) throw mustBe(job, ["uploaded"]);
  const { format, sizeBytes, chunks } = job;
  const choice = {
    encoding: change.encoding ?? format.encoding,
    separator: change.separator === undefined ? null : separatorOf(change.separator),
    hasHeader: change.hasHeader ?? null,
  };
  await saveUpload(db, key, { sizeBytes, chunks, ...readHead(key, chunk.bytes, chunks === 1, choice) });
  return existingImport(db, key);
}

/**
 * Pauses, resumes or cancels an import; doing it again changes nothing. To be called in a transaction.
 * @throws AppError when its status does not allow it
 */
export async function changeImport(db: Db, key: ImportKey, change: keyof typeof CHANGES): Promise<Import> {
  const { from, to } = CHANGES[change];
  const changed = await changeStatus(db, key, from, to);
  if (changed === null) {
    const job = await existingImport(db, key);
    if (job.status === to) return job;
    throw mustBe(job, from);
  }
  if (to === "cancelled") await deleteChunks(db, key, null);
  return changed;
}

function mustBe({ status }: Import, allowed: readonly Status[]): AppError {
  return new AppError("conflict", `The import is ${status}; this takes one that is ${allowed.join(" or ")}.`);
}
