import { expect, test } from "bun:test";
import { contactReader } from "./contact-row.ts";

const SETTINGS = { tagsSeparator: ",", addTags: ["imported"] };

/** Reads one cell besides the address. */
function readCell(target: string, cell: string) {
  const read = contactReader(["A", "B"], { A: "email", B: target }, SETTINGS);
  const result = read(["ann@example.com", cell]);
  return "row" in result ? result.row : result.problem;
}

const PLAIN = {
  email: "ann@example.com",
  timeZone: null,
  telegramChatId: null,
  tags: ["imported"],
  attributes: {},
};

test.each([
  ["attributes.plan", "pro", { attributes: { plan: "pro" } }],
  ["attributes.plan", "", {}],
  ["attributes.age:number", "12.50", { attributes: { age: 12.5 } }],
  ["attributes.member:boolean", "Yes", { attributes: { member: true } }],
  ["attributes.member:boolean", "0", { attributes: { member: false } }],
  ["attributes.x:json", '{"a":[1]}', { attributes: { x: { a: [1] } } }],
  ["attributes.x:json", "null", {}],
  ["attributes:json", '{"a":1,"b":null}', { attributes: { a: 1 } }],
  ["tags", "vip, news ,,vip", { tags: ["imported", "vip", "news"] }],
  ["tags:json", '["a,b"]', { tags: ["imported", "a,b"] }],
  ["timeZone", " Europe/Paris ", { timeZone: "Europe/Paris" }],
  ["telegramChatId", "-1001234567890", { telegramChatId: -1001234567890 }],
])("%s: %j is taken", (target, cell, expected) => {
  expect(readCell(target, cell)).toEqual({ ...PLAIN, ...expected });
});

test.each([
  ["attributes.age:number", "twelve", "must be a number such as 12.5"],
  ["attributes.age:number", "1e999", "must be a number such as 12.5"],
  ["attributes.member:boolean", "constructor", "must be true or false, yes or no, 1 or 0"],
  ["attributes.x:json", "{a}", "is not valid JSON"],
  ["attributes.x:json", '{"__proto__":1}', expect.stringContaining("is a name that is not allowed")],
  ["attributes:json", "[1]", "must be a JSON object"],
  ["tags:json", "5", "must be a JSON list of texts"],
  ["tags", "x".repeat(65), expect.stringContaining("must have at most 64 characters")],
  ["timeZone", "Mars/Base", "must be a time zone of the IANA database, such as Europe/Paris"],
  ["telegramChatId", "0", "must not be 0"],
  ["telegramChatId", "@ann", "must be a whole number"],
])("%s: %j is refused", (target, cell, reason) => {
  expect(readCell(target, cell)).toEqual({ field: target, reason });
});

test.each([
  ["", "is required"],
  ["ann", "must be an email address such as ann@example.com"],
  ["ann@example.com\nBcc: x@example.com", "must be an email address such as ann@example.com"],
])("the address %j is refused", (cell, reason) => {
  const read = contactReader(["A"], { A: "email" }, SETTINGS);
  expect(read([cell])).toEqual({ problem: { field: "email", reason } });
});

test("a row whose attributes are too large is refused", () => {
  const read = contactReader(["A", "B"], { A: "email", B: "attributes.b" }, SETTINGS);
  expect(read(["ann@example.com", "é".repeat(33_000)])).toMatchObject({ problem: { field: "attributes" } });
  expect(read(["ann@example.com", "e".repeat(33_000)])).toHaveProperty("row");
});

test("columns may have the names of what every object has", () => {
  const read = contactReader(["constructor", "toString"], { toString: "email" }, SETTINGS);
  expect(read(["x", "ann@example.com"])).toEqual({ row: PLAIN });
});
