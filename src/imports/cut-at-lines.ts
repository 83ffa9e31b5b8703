import { utf16Of } from "./encoding.ts";

const LF = 0x0a;
const CR = 0x0d;

/**
 * Cuts a stream of bytes into pieces of about `chunkBytes` that end with a line where there is one, so that each can
 * be decoded by itself. Holds no more than one piece and what came with it.
 */
export async function* cutAtLines(
  source: AsyncIterable<Uint8Array>,
  chunkBytes: number,
): AsyncGenerator<Buffer> {
  let waiting: Uint8Array[] = [];
  let length = 0;
  let unit: 1 | 2 | null = null;
  for await (const bytes of source) {
    waiting.push(bytes);
    length += bytes.byteLength;
    if (length < chunkBytes) continue;
    let rest = Buffer.concat(waiting);
    unit ??= utf16Of(rest) === null ? 1 : 2;
    while (rest.length >= chunkBytes) {
      const end = lastCut(rest.subarray(0, chunkBytes), unit);
      yield rest.subarray(0, end);
      rest = rest.subarray(end);
    }
    waiting = [rest];
    length = rest.length;
  }
  if (length > 0) yield Buffer.concat(waiting);
}

/** After the last line; where a line is longer than the piece, between two characters. */
function lastCut(bytes: Buffer, unit: 1 | 2): number {
  for (const end of [LF, CR]) {
    for (let at = bytes.lastIndexOf(end); at >= 0; at = at === 0 ? -1 : bytes.lastIndexOf(end, at - 1)) {
      const cut = unit === 1 ? at + 1 : afterWideCharacter(bytes, at);
      if (cut !== null) return cut;
    }
  }
  if (unit === 2) return bytes.length - (bytes.length % 2);
  for (let cut = bytes.length; cut > bytes.length - 4 && cut > 1; cut -= 1) {
    const byte = bytes[cut - 1] ?? 0;
    if (byte < 0x80) return cut;
    // The first byte of a character of several begins the next piece.
    if (byte >= 0xc0) return cut - 1;
  }
  return bytes.length;
}

/** Where a UTF-16 control character ends one of whose bytes is at `at`; null when that byte belongs to another. */
function afterWideCharacter(bytes: Buffer, at: number): number | null {
  if (at % 2 === 0) return bytes[at + 1] === 0 ? at + 2 : null;
  return bytes[at - 1] === 0 ? at + 1 : null;
}
