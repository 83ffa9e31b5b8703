import { expect, test } from "bun:test";
import { detectFormat } from "./detect.ts";

const NOTHING_SAID = { separator: null, hasHeader: null };
const detect = (text: string) => detectFormat(text, true, NOTHING_SAID);

test.each([
  ["comma", 'email,name\nann@example.com,"Ann; Bea"\nbob@example.com,Bob\n', ","],
  ["semicolon, with commas in numbers", "email;score\nann@example.com;1,5\nbob@example.com;2,25\n", ";"],
  ["tab", "email\tname\nann@example.com\tAnn, Bea\n", "\t"],
  ["pipe", "email|name\nann@example.com|Ann\n", "|"],
  ["one column", "email\nann@example.com\n", ","],
  ["what the file says above its header", "sep=;\nemail;name\na@example.com;A,B,C\n", ";"],
] as const)("the separator is found out: %s", (_, text, separator) => {
  expect(detect(text)?.format.separator).toBe(separator);
});

test("rows begin after the header, and are counted as a spreadsheet does", () => {
  const text = "\nemail,name\r\nann@example.com,Ann\r\n";
  const detected = detect(text);
  expect(detected?.format).toMatchObject({ hasHeader: true, columns: ["email", "name"], firstRow: 3 });
  expect(text.slice(detected?.format.firstOffset)).toBe("ann@example.com,Ann\r\n");
  expect(detected?.sample).toEqual([["ann@example.com", "Ann"]]);
});

test("a first line with an address and no name of one is a row", () => {
  expect(detect("ann@example.com,Ann\nbob@example.com,Bob,x\n")?.format).toMatchObject({
    hasHeader: false,
    columns: ["Column 1", "Column 2", "Column 3"],
    firstOffset: 0,
    firstRow: 1,
  });
});

test("columns without a name or with the same name get names of their own", () => {
  expect(detect("email,Tag,,Tag,Tag (2)\na@example.com,1,2,3,4\n")?.format.columns).toEqual([
    "email",
    "Tag",
    "Column 3",
    "Tag (3)",
    "Tag (2)",
  ]);
});

test("lines may end by CR alone", () => {
  expect(detect("email,name\rann@example.com,Ann\r")).toMatchObject({
    format: { lineEnd: "\r", columns: ["email", "name"] },
    sample: [["ann@example.com", "Ann"]],
  });
});

test("a file with nothing in it has no format", () => {
  expect(detect("")).toBeNull();
  expect(detect("\n \n,,\n")).toBeNull();
});
