import { invalid } from "../http/problem.ts";
import type { Db } from "../storage/pool.ts";
import { cutAtLines } from "./cut-at-lines.ts";
import { detectFormat, type FormatChoice, MAX_COLUMNS } from "./detect.ts";
import { decodeChunk, type Encoding, surveyEncoding } from "./encoding.ts";
import type { FileFormat, ImportKey, Preview } from "./import.ts";
import { proposeMapping } from "./mapping.ts";
import { deleteImport, insertChunk, insertImport, saveUpload } from "./queries.ts";

const CHUNK_BYTES = 256 * 1024;

/** What somebody says about a file; null: to be found out. */
export type Choice = FormatChoice & { encoding: Encoding | null };

/**
 * Stores a file as it comes, a chunk at a time, and finds out how it reads.
 * @throws AppError when it reads as nothing; then, and when it breaks off, nothing of it is kept
 */
export async function storeUpload(
  db: Db,
  key: ImportKey,
  file: AsyncIterable<Uint8Array>,
  choice: Choice,
): Promise<void> {
  await insertImport(db, key);
  try {
    const survey = surveyEncoding();
    let first: Buffer | null = null;
    let sizeBytes = 0;
    let chunks = 0;
    for await (const bytes of cutAtLines(file, CHUNK_BYTES)) {
      survey.see(bytes);
      await insertChunk(db, key, { number: chunks, startBytes: sizeBytes, bytes });
      first ??= bytes;
      sizeBytes += bytes.length;
      chunks += 1;
    }
    const encoding = choice.encoding ?? survey.encoding();
    const reading = readHead(key, first, chunks === 1, { ...choice, encoding });
    await saveUpload(db, key, { sizeBytes, chunks, ...reading });
  } catch (error) {
    // What cannot be deleted now goes with the next maintenance.
    await deleteImport(db, key).catch(() => {});
    throw error;
  }
}

/**
 * How a file reads, by its first chunk.
 * @throws AppError that says why it does not
 */
export function readHead(
  { kind }: ImportKey,
  chunk: Buffer | null,
  isWhole: boolean,
  choice: Choice & { encoding: Encoding },
): { format: FileFormat; preview: Preview } {
  const text = chunk === null ? "" : decodeChunk(chunk, choice.encoding, true).text;
  const detected = detectFormat(text, isWhole, choice);
  if (detected === null) throw invalid([{ field: "body", reason: "has no line with anything in it" }]);
  const { format, sample } = detected;
  if (format.columns.length > MAX_COLUMNS)
    throw invalid([{ field: "body", reason: `must have at most ${MAX_COLUMNS} columns` }]);
  const mapping = proposeMapping(kind, format.columns, sample);
  return { format: { ...format, encoding: choice.encoding }, preview: { mapping, sample } };
}
