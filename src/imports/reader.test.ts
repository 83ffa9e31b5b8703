import { expect, test } from "bun:test";
import fc from "fast-check";
import iconv from "iconv-lite";
import type { Format } from "./detect.ts";
import { type Cursor, createReader, type FileRow } from "./reader.ts";

const LIMITS = { records: 3, chars: 1_000, recordChars: 60 };
const FORMAT: Format = {
  separator: ",",
  lineEnd: "\n",
  hasHeader: false,
  columns: ["A", "B", "C"],
  firstOffset: 0,
  firstRow: 1,
};
const BEGINNING: Cursor = { chunk: 0, offset: 0, row: 1 };

function source(chunks: Buffer[]) {
  const starts = chunks.map((_, number) =>
    chunks.slice(0, number).reduce((bytes, chunk) => bytes + chunk.length, 0),
  );
  return {
    chunks: chunks.length,
    load: async (number: number) => ({
      bytes: chunks[number] ?? Buffer.alloc(0),
      startBytes: starts[number] ?? 0,
    }),
  };
}

/** Reads all of a file; `restarts` says after which batches a new reader goes on. */
async function readAll(
  chunks: Buffer[],
  encoding: "UTF-8" | "UTF-16LE",
  restarts: (batch: number) => boolean,
) {
  const format = { ...FORMAT, encoding };
  let read = createReader(source(chunks), format, BEGINNING, LIMITS);
  const rows: FileRow[] = [];
  for (let number = 0; ; number += 1) {
    const batch = await read();
    rows.push(...batch.rows);
    if (batch.isLast) return { rows, doneBytes: batch.doneBytes };
    if (restarts(number)) read = createReader(source(chunks), format, batch.cursor, LIMITS);
  }
}

function inChunks(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    if (at >= bytes.length) break;
    chunks.push(bytes.subarray(at, at + size * 2));
    at += size * 2;
  }
  if (at < bytes.length) chunks.push(bytes.subarray(at));
  return chunks;
}

const text = fc.string({
  unit: fc.constantFrom("a", "b", '"', ",", "\n", "\n", "\r\n", "x,y\n", '"q","r"\n'),
  maxLength: 120,
});

test("wherever a file is cut and wherever it is gone on with, its rows are the same, each once", async () => {
  await fc.assert(
    fc.asyncProperty(
      text,
      fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 8 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
      fc.constantFrom("UTF-8" as const, "UTF-16LE" as const),
      async (content, sizes, restarts, encoding) => {
        const bytes = iconv.encode(content, encoding);
        const whole = await readAll([bytes], encoding, () => false);
        const cut = await readAll(
          inChunks(bytes, sizes),
          encoding,
          (batch) => restarts[batch % restarts.length] === true,
        );
        expect(cut).toEqual(whole);
        expect(whole.doneBytes).toBe(bytes.length);
      },
    ),
    { numRuns: 500 },
  );
});

test("a line longer than may be kept is one refused row, over however many chunks it goes", async () => {
  const bytes = Buffer.from(`a,b\n${"x".repeat(500)}\nc,d\n`);
  const { rows } = await readAll(inChunks(bytes, Array<number>(30).fill(10)), "UTF-8", () => true);
  expect(rows.map((row) => ("fault" in row ? row.fault : row.cells))).toEqual([
    ["a", "b"],
    "too_long",
    ["c", "d"],
  ]);
  expect(rows.map(({ row }) => row)).toEqual([1, 2, 3]);
});

test("half of a surrogate pair is no character either", async () => {
  const bytes = Buffer.from("a\ud800,b\nc,d\n", "utf16le");
  const { rows } = await readAll([bytes], "UTF-16LE", () => false);
  expect(rows).toMatchObject([{ line: "a\ufffd,b", fault: "undecodable" }, { cells: ["c", "d"] }]);
});

test("NUL and bytes that are no characters are told row by row", async () => {
  const bytes = Buffer.concat([Buffer.from("a\0,b\n"), Buffer.from([0xe9]), Buffer.from(",b\nc,d\n")]);
  const { rows } = await readAll([bytes], "UTF-8", () => false);
  expect(rows).toEqual([
    { row: 1, line: "a\ufffd,b", isCut: false, fault: "nul" },
    { row: 2, line: "\ufffd,b", isCut: false, fault: "undecodable" },
    { row: 3, line: "c,d", isCut: false, cells: ["c", "d"] },
  ]);
});
