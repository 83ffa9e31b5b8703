import { existsSync, mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AppError } from "../errors.ts";

/** A spool file that no other process has, for as long as this one lives. */
export type Place = { file: string; release(): void };

const MAX_PLACES = 64;
const SQLITE_BUSY = 5;

/** Where the spools of an installation's processes are. */
export function spoolDir(dataDir: string): string {
  return path.join(dataDir, "spool");
}

/** The files of the spools in this folder, of living processes and of dead ones. */
export function listSpoolFiles(dir: string): string[] {
  return numbers()
    .map((number) => fileOf(dir, number))
    .filter((file) => existsSync(file));
}

/**
 * Takes the first file that no living process has. What dead processes left in the others comes with it, to be
 * taken over and given free.
 * @throws AppError, a sentence for a person, when the folder can't be written to or every file is taken
 */
export function takePlace(dir: string): { place: Place; orphans: Place[] } {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const free = numbers().flatMap((number) => {
      const isWanted = existsSync(fileOf(dir, number)) || number === 1;
      return isWanted ? lock(dir, number) : [];
    });
    const [place = firstNew(dir), ...orphans] = free;
    if (place === null) throw new Error(`${MAX_PLACES} processes have one there already`);
    return { place, orphans };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError("unavailable", `EDGR can't keep a spool in ${dir} (${reason}).`);
  }
}

export function removeFile(file: string): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${file}${suffix}`, { force: true });
}

function firstNew(dir: string): Place | null {
  for (const number of numbers()) {
    const [place] = existsSync(fileOf(dir, number)) ? [] : lock(dir, number);
    if (place !== undefined) return place;
  }
  return null;
}

// A transaction on a file of its own holds a lock that ends with the process, however it ends, and leaves the spool
// open to those who only read. Lock files stay: a lock on one that was removed would keep nobody out.
function lock(dir: string, number: number): Place[] {
  const db = new DatabaseSync(path.join(dir, `${number}.lock`));
  try {
    db.exec("begin exclusive");
  } catch (error) {
    db.close();
    if (error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY) return [];
    throw error;
  }
  return [{ file: fileOf(dir, number), release: () => db.close() }];
}

function fileOf(dir: string, number: number): string {
  return path.join(dir, `${number}.db`);
}

function numbers(): number[] {
  return Array.from({ length: MAX_PLACES }, (_, index) => index + 1);
}
