import { expect, test } from "bun:test";
import { checkMapping, parseTarget, proposeMapping } from "./mapping.ts";

test("columns are recognised by their names in several spellings", () => {
  const columns = ["E-Mail Address", "Prénom", "LAST_NAME", "Zeitzone", "Labels", "Lieblings-Farbe"];
  expect(proposeMapping("contacts", columns, [])).toEqual({
    "E-Mail Address": "email",
    Prénom: "attributes.firstName",
    LAST_NAME: "attributes.lastName",
    Zeitzone: "timeZone",
    Labels: "tags",
    "Lieblings-Farbe": "attributes.lieblingsFarbe",
  });
});

test("a column of addresses is the email when no name says so", () => {
  const sample = [["Ann", "ann@example.com"]];
  expect(proposeMapping("contacts", ["Who", "Where"], sample)).toEqual({
    Who: "attributes.who",
    Where: "email",
  });
});

test("what an export names is taken as it is, and what a report of refused lines adds is left out", () => {
  const columns = [
    "refusedRow",
    "refusedReason",
    "email",
    "tags:json",
    "attributes.first name",
    "attributes.x:json",
  ];
  expect(proposeMapping("contacts", columns, [])).toEqual({
    refusedRow: null,
    refusedReason: null,
    email: "email",
    "tags:json": "tags:json",
    "attributes.first name": "attributes.first name",
    "attributes.x:json": "attributes.x:json",
  });
});

test("two columns are never the same thing", () => {
  expect(proposeMapping("contacts", ["email", "E-mail", "First Name", "Vorname"], [])).toEqual({
    email: "email",
    "E-mail": "attributes.eMail",
    "First Name": "attributes.firstName",
    Vorname: "attributes.vorname",
  });
});

test("suppressions of other systems are recognised", () => {
  expect(proposeMapping("suppressions", ["EmailAddress", "Reason", "LastUpdateTime", "Note"], [])).toEqual({
    EmailAddress: "address",
    Reason: "reason",
    LastUpdateTime: "createdAt",
    Note: null,
  });
});

test.each([
  [{}, "mapping", "must say which column is email"],
  [{ A: "email", X: null }, "mapping.X", "is not a column of the file"],
  [{ A: "email", B: "email" }, "mapping.B", "is what the column A is already"],
  [
    { A: "email", B: "attributes.x", C: "attributes.x:number" },
    "mapping.C",
    "is what the column B is already",
  ],
  [{ A: "email", B: "phone" }, "mapping.B", expect.stringContaining("must be null or one of email")],
  [{ A: "email", B: "attributes.__proto__" }, "mapping.B", expect.stringContaining("must be null or one of")],
])("the mapping %j is refused", (mapping, field, reason) => {
  expect(checkMapping("contacts", ["A", "B", "C"], mapping)).toEqual([{ field, reason }]);
});

test("an attribute's name is all that stands before its type, whatever is in it", () => {
  expect(parseTarget("contacts", "attributes.a.b:c:json")).toEqual({
    field: "attributes",
    key: "a.b:c",
    as: "json",
  });
  expect(parseTarget("contacts", "attributes.x:json:json")).toEqual({
    field: "attributes",
    key: "x:json",
    as: "json",
  });
  expect(parseTarget("contacts", "attributes.")).toEqual({ field: "attributes", key: "", as: "text" });
});
