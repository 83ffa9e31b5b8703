import { isAscii, isUtf8 } from "node:buffer";
import { analyse } from "chardet";
import iconv from "iconv-lite";

/** Encodings a file may have. All are without state: a piece that begins at a line's start can be read by itself. */
export const ENCODINGS = [
  "UTF-8",
  "UTF-16LE",
  "UTF-16BE",
  "windows-1250",
  "windows-1251",
  "windows-1252",
  "windows-1253",
  "windows-1254",
  "windows-1255",
  "windows-1256",
  "windows-1257",
  "windows-1258",
  "ISO-8859-2",
  "ISO-8859-5",
  "ISO-8859-6",
  "ISO-8859-7",
  "ISO-8859-8",
  "KOI8-R",
  "macintosh",
  "Shift_JIS",
  "EUC-JP",
  "EUC-KR",
  "Big5",
  "GB18030",
] as const;

export type Encoding = (typeof ENCODINGS)[number];

export type EncodingSurvey = {
  see(chunk: Buffer): void;
  encoding(): Encoding;
};

const SAMPLE_BYTES = 64 * 1024;
const ENOUGH_BYTES = 2 * 1024;
const SPACE = 0x20;
const UTF_16_HEAD_BYTES = 4096;
// What the first of these is a part of the second, with characters where the first has controls nobody writes.
const SUPERSETS: Record<string, Encoding> = { "ISO-8859-1": "windows-1252", "ISO-8859-9": "windows-1254" };
// Below these confidences, of 100, a guess is worse than what most spreadsheets write, Windows-1252. A few accents look
// alike in all encodings of Latin letters; another alphabet does not.
const SURE = 20;
const SURE_OF_LATIN = 40;
const LATIN: ReadonlySet<Encoding> = new Set([
  "windows-1250",
  "windows-1254",
  "windows-1257",
  "windows-1258",
  "ISO-8859-2",
]);
const REPLACEMENT = "\ufffd";
const BOM = "\ufeff";

/**
 * Finds a file's encoding from all of it: a file that is valid UTF-8 to its end is UTF-8, and only lines that are
 * not are guessed at.
 */
export function surveyEncoding(): EncodingSurvey {
  let utf16: Encoding | null = null;
  let isFirst = true;
  let foreign = Buffer.alloc(0);
  return {
    see(chunk) {
      if (isFirst) utf16 = utf16Of(chunk);
      isFirst = false;
      if (utf16 !== null || isUtf8(chunk) || foreign.length >= SAMPLE_BYTES) return;
      foreign = Buffer.concat([foreign, foreignWords(chunk, SAMPLE_BYTES - foreign.length)]);
    },
    encoding: () => utf16 ?? (foreign.length === 0 ? "UTF-8" : guess(foreign)),
  };
}

/** UTF-16 by its mark, or by the zeros that half of its bytes are in most languages of few letters. */
export function utf16Of(head: Uint8Array): "UTF-16LE" | "UTF-16BE" | null {
  if (head[0] === 0xff && head[1] === 0xfe) return "UTF-16LE";
  if (head[0] === 0xfe && head[1] === 0xff) return "UTF-16BE";
  const pairs = Math.floor(Math.min(head.length, UTF_16_HEAD_BYTES) / 2);
  const zeros = [0, 0];
  for (let at = 0; at < pairs * 2; at += 1) if (head[at] === 0) zeros[at % 2] = (zeros[at % 2] ?? 0) + 1;
  const [even = 0, odd = 0] = zeros;
  if (odd > pairs / 2 && even < pairs / 10) return "UTF-16LE";
  return even > pairs / 2 && odd < pairs / 10 ? "UTF-16BE" : null;
}

/**
 * The text of a piece of a file; the mark at the file's beginning is not part of it.
 * @returns `isDamaged` when some bytes mean nothing in this encoding: U+FFFD stands for them
 */
export function decodeChunk(
  bytes: Buffer,
  encoding: Encoding,
  isFirst: boolean,
): { text: string; isDamaged: boolean } {
  const isSound = encoding === "UTF-8" && isUtf8(bytes);
  const text =
    encoding === "UTF-8" ? bytes.toString("utf8") : iconv.decode(bytes, encoding, { stripBOM: false });
  return {
    text: isFirst && text.startsWith(BOM) ? text.slice(1) : text,
    isDamaged: !isSound && text.includes(REPLACEMENT),
  };
}

/** The words with bytes that are not ASCII: addresses and separators around them look like Western European text. */
function foreignWords(chunk: Buffer, maxBytes: number): Buffer {
  const words: Buffer[] = [];
  let length = 0;
  let start = 0;
  for (let at = 0; at <= chunk.length && length < maxBytes; at += 1) {
    const byte = chunk[at] ?? SPACE;
    const lower = byte | 0x20;
    if (byte >= 0x80 || (lower >= 0x61 && lower <= 0x7a)) continue;
    const word = chunk.subarray(start, at + 1);
    start = at + 1;
    if (isAscii(word)) continue;
    words.push(word);
    length += word.length;
  }
  return Buffer.concat(words);
}

function guess(words: Buffer): Encoding {
  // Of a few words it is surer when it has seen them several times.
  const times = Math.ceil(ENOUGH_BYTES / words.length);
  for (const { name, confidence } of analyse(Buffer.concat(Array<Buffer>(times).fill(words)))) {
    const encoding = SUPERSETS[name] ?? ENCODINGS.find((known) => known === name);
    if (encoding === undefined || encoding.startsWith("UTF")) continue;
    return confidence < (LATIN.has(encoding) ? SURE_OF_LATIN : SURE) ? "windows-1252" : encoding;
  }
  return "windows-1252";
}
