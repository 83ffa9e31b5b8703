import { describe, expect, test } from "bun:test";
import { classifyMail, referencesOf } from "./mail.ts";

const kind = (headers: Record<string, string>, envelopeFrom = "ann@example.com") =>
  classifyMail(new Map(Object.entries(headers)), envelopeFrom);

describe("who wrote it", () => {
  test.each([
    [{}],
    [{ "auto-submitted": "no" }],
    [{ "auto-submitted": "No (by hand)" }],
    [{ precedence: "first-class" }],
    [{ subject: "Re: out of office next week?" }],
    [{ subject: "Automatic doors" }],
    [{ "content-type": 'multipart/alternative; boundary="x"' }],
  ])("a person: %p", (headers) => expect(kind(headers)).toBe("person"));

  test.each([
    [{ "auto-submitted": "auto-replied" }],
    [{ "auto-submitted": "auto-generated; owner-email=a@b.c" }],
    [{ precedence: "bulk" }],
    [{ precedence: "auto_reply" }],
    [{ "x-autoreply": "yes" }],
    [{ "x-autorespond": "" }],
    [{ subject: "Automatic reply: Hello" }],
    [{ subject: "Out of Office: Hello" }],
    [{ subject: "Abwesenheitsnotiz: Hallo" }],
  ])("a machine in a person's place: %p", (headers) => expect(kind(headers)).toBe("auto_reply"));

  test.each([
    [{ "content-type": "multipart/report; report-type=delivery-status; boundary=x" }, "ann@example.com"],
    [{ "content-type": 'Multipart/Report; boundary=x;\treport-type="delivery-status"' }, ""],
    [
      { "content-type": "multipart/report; report-type=delivery-status", "auto-submitted": "auto-replied" },
      "",
    ],
    [{ "content-type": "multipart/report; report-type=disposition-notification" }, "ann@example.com"],
    [{}, ""],
    [{}, "<>"],
  ])("a mail server: %p from %p", (headers, from) => expect(kind(headers, from)).toBe("delivery_report"));

  test("an out-of-office answer without a sender is still one", () => {
    expect(kind({ "auto-submitted": "auto-replied" }, "")).toBe("auto_reply");
  });
});

describe("what it answers", () => {
  test("is In-Reply-To, then References from new to old, each once", () => {
    expect(referencesOf("<3@a>", "<1@a> <2@a>\t<3@a>")).toEqual(["<3@a>", "<2@a>", "<1@a>"]);
  });

  test("is looked for in no more than twenty ids, and in none that is no id", () => {
    const many = Array.from({ length: 1_000 }, (_, number) => `<${number}@a>`).join(" ");
    expect(referencesOf("", many)).toHaveLength(20);
    expect(referencesOf("Your message of Monday", `<${"x".repeat(600)}@a> <no-domain> @ <@>`)).toEqual([]);
  });
});
