import { expect, test } from "bun:test";
import iconv from "iconv-lite";
import { decodeChunk, surveyEncoding } from "./encoding.ts";

const GERMAN = "email;Vorname;Stadt\njoerg@example.com;Jörg;Köln\nmuller@example.com;Müller;Düsseldorf\n";
const RUSSIAN =
  "a@example.com;Иван Петров;Москва\nb@example.com;Анна Смирнова;Новосибирск\nc@example.com;Ольга Кузнецова\n";

function detect(...chunks: Buffer[]): string {
  const survey = surveyEncoding();
  for (const chunk of chunks) survey.see(chunk);
  return survey.encoding();
}

test.each([
  ["ASCII", Buffer.from("email\nann@example.com\n"), "UTF-8"],
  ["UTF-8", Buffer.from(GERMAN), "UTF-8"],
  ["UTF-8 with a mark", Buffer.from(`\ufeff${GERMAN}`), "UTF-8"],
  ["UTF-16LE with a mark", iconv.encode(GERMAN, "utf-16le", { addBOM: true }), "UTF-16LE"],
  ["UTF-16BE with a mark", iconv.encode(GERMAN, "utf-16be", { addBOM: true }), "UTF-16BE"],
  ["UTF-16LE without a mark", iconv.encode(GERMAN, "utf-16le"), "UTF-16LE"],
  ["Windows-1252", iconv.encode(GERMAN, "windows-1252"), "windows-1252"],
  ["KOI8-R", iconv.encode(RUSSIAN, "koi8-r"), "KOI8-R"],
  ["EUC-KR", iconv.encode("a@example.kr;김철수;서울\nb@example.kr;이영희;부산\n", "euc-kr"), "EUC-KR"],
  ["Windows-1251", iconv.encode(RUSSIAN, "windows-1251"), "windows-1251"],
])("%s is found out", (_, bytes, encoding) => {
  expect(detect(bytes)).toBe(encoding);
});

test("one line of another encoding at the end of a large file decides", () => {
  const ascii = Buffer.from("ann@example.com;Ann;Koeln\n".repeat(10_000));
  expect(detect(ascii, ascii, iconv.encode("joerg@example.com;Jörg;Köln\n", "windows-1252"))).toBe(
    "windows-1252",
  );
});

test.each([
  ["UTF-8", Buffer.from(`\ufeff${GERMAN}`)],
  ["UTF-16LE", iconv.encode(GERMAN, "utf-16le", { addBOM: true })],
  ["windows-1252", iconv.encode(GERMAN, "windows-1252")],
] as const)("%s is decoded without its mark", (encoding, bytes) => {
  expect(decodeChunk(bytes, encoding, true)).toEqual({ text: GERMAN, isDamaged: false });
});

test("bytes that are no characters are told, a character that looks like them is not", () => {
  expect(decodeChunk(Buffer.from([0x61, 0xe9, 0x0a]), "UTF-8", true).isDamaged).toBe(true);
  expect(decodeChunk(Buffer.from("\ufffd\n"), "UTF-8", true).isDamaged).toBe(false);
});
