import { describe, expect, test } from "bun:test";
import { emailHeaders, isConfigurationSet, messageIdHeader, safeAddress, safeHeaderText } from "./headers.ts";

const ids = {
  customerId: "01890a5d-ac96-774b-bcce-b302099a8057",
  campaignId: "01890a5d-ac96-774b-bcce-b302099a8058",
  nodeId: "hello",
  runId: "01890a5d-ac96-774b-bcce-b302099a8059",
  messageId: "01890a5d-ac96-774b-bcce-b302099a805a",
};

describe("text of a header", () => {
  test.each(["", "Hi Ann", "Grüße 😀", "a: b; c <d@e>", "x".repeat(998)])("%j is taken as it is", (value) => {
    expect(safeHeaderText("subject", value)).toEqual({ ok: true, value });
  });

  test.each([
    ["Hi\r\nBcc: eve@example.com", "it contains a line break"],
    ["Hi\nBcc: eve@example.com", "it contains a line break"],
    ["Hi\rBcc: eve@example.com", "it contains a line break"],
    ["Hi\n", "it contains a line break"],
    ["Hi\0", "it contains a control character"],
    ["Hi\tAnn", "it contains a control character"],
    ["Hi\u0085Bcc: eve@example.com", "it contains a control character"],
    ["\u001b[31mHi", "it contains a control character"],
    ["x".repeat(999), "it is longer than 998 characters"],
  ])("%j is refused with its field", (value, reason) => {
    expect(safeHeaderText("subject", value)).toEqual({ ok: false, field: "subject", reason });
  });

  test("half a character becomes the replacement character", () => {
    expect(safeHeaderText("subject", "Hi \ud83d")).toEqual({ ok: true, value: "Hi \ufffd" });
  });
});

describe("an address", () => {
  test.each(["ann@example.com", "a.b+c=d@sub.example.com", "jörg@example.com", "ann@bücher.example"])(
    "%s is one",
    (address) => {
      expect(safeAddress("to", address)).toEqual({ ok: true, value: address });
    },
  );

  test.each([
    "",
    "ann",
    "@example.com",
    "ann@",
    "ann@exa mple.com",
    "ann@example.com, eve@example.com",
    "Ann <ann@example.com>",
    "ann@eve@example.com",
    "ann@example.com\r\nBcc: eve@example.com",
    "ann@example.com\0",
    '"ann"@example.com',
    "ann@[127.0.0.1]",
    "ann@xn--a.example",
  ])("%j is none", (address) => {
    expect(safeAddress("to", address)).toMatchObject({ ok: false, field: "to" });
  });
});

test("a Message-ID is the message under the sender's domain, in ASCII", () => {
  expect(messageIdHeader(ids.messageId, "news@example.com")).toBe("<AYkKXayWd0u8zrMCCZqAWg@example.com>");
  expect(messageIdHeader(ids.messageId, "news@bücher.example")).toBe(
    "<AYkKXayWd0u8zrMCCZqAWg@xn--bcher-kva.example>",
  );
});

test("every email can be unsubscribed from with one click and is grouped for Gmail", () => {
  expect(emailHeaders(ids, "https://edgr.example.com/u?t=TOKEN", null)).toEqual({
    "List-Unsubscribe": "<https://edgr.example.com/u?t=TOKEN>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    "Feedback-ID": "AYkKXayWd0u8zrMCCZqAWA:hello:AYkKXayWd0u8zrMCCZqAVw:edgrmail",
  });
});

test("SES is told its configuration set and the message, in characters it takes", () => {
  const headers = emailHeaders(ids, "https://edgr.example.com/u?t=TOKEN", "edgr");
  expect(headers["X-SES-CONFIGURATION-SET"]).toBe("edgr");
  expect(headers["X-SES-MESSAGE-TAGS"]).toBe(
    "edgr-message=AYkKXayWd0u8zrMCCZqAWg, edgr-customer=AYkKXayWd0u8zrMCCZqAVw",
  );
});

test("a node's name cannot add a field to Feedback-ID", () => {
  const headers = emailHeaders(
    { ...ids, nodeId: "a:b\r\nBcc: eve@example.com" },
    "https://edgr.example.com/u",
    null,
  );
  expect(headers["Feedback-ID"]).toMatch(/^[\w-]{22}:~[\w-]{11}:[\w-]{22}:edgrmail$/);
});

test.each([
  ["edgr", true],
  ["Edgr_1-a", true],
  ["", false],
  ["a b", false],
  ["a\r\nBcc: eve@example.com", false],
  ["a".repeat(65), false],
])("configuration set %j: %p", (name, expected) => {
  expect(isConfigurationSet(name)).toBe(expected);
});
