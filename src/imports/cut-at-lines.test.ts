import { expect, test } from "bun:test";
import fc from "fast-check";
import iconv from "iconv-lite";
import { cutAtLines } from "./cut-at-lines.ts";
import { decodeChunk } from "./encoding.ts";

async function* pieces(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function cut(bytes: Buffer, pieceBytes: number, chunkBytes: number): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of cutAtLines(pieces(bytes, pieceBytes), chunkBytes))
    chunks.push(Buffer.from(chunk));
  return chunks;
}

test("chunks end with a line where there is one", async () => {
  expect((await cut(Buffer.from("aa\nbbb\ncc\n"), 2, 5)).map(String)).toEqual(["aa\n", "bbb\n", "cc\n"]);
});

const line = fc.string({ unit: fc.constantFrom("a", "é", "語", "ਊ", "\u0a0d", "😀", ","), maxLength: 30 });

test("each chunk can be decoded by itself, however the bytes come", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 20 }),
      fc.constantFrom("UTF-8" as const, "UTF-16LE" as const, "UTF-16BE" as const),
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 8, max: 100 }),
      async (lines, encoding, pieceBytes, chunkBytes) => {
        const text = lines.join("\n");
        const bytes = iconv.encode(`\ufeff${text}`, encoding);
        const chunks = await cut(bytes, pieceBytes, chunkBytes);
        expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
        const decoded = chunks.map((chunk, number) => decodeChunk(chunk, encoding, number === 0));
        expect(decoded.map((chunk) => chunk.text).join("")).toBe(text);
        expect(decoded.some((chunk) => chunk.isDamaged)).toBe(false);
      },
    ),
  );
});
