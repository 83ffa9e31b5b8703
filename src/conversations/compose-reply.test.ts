import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { newId } from "../events/id.ts";
import { checkHtml } from "../telegram/html.ts";
import {
  composeReplyEmail,
  composeReplyTelegram,
  type ReplyContext,
  replySubject,
  type StoredReply,
} from "./compose-reply.ts";

const reply: StoredReply = {
  channel: "email",
  text: "Thank you!",
  subject: "Re: Prices",
  inReplyTo: "<m2@mail.example>",
  references: ["<m1@mail.example>", "<m2@mail.example>"],
  telegramReplyTo: null,
};

const context: ReplyContext = {
  to: "ann@example.com",
  credential: { settings: { fromEmail: "news@example.com", fromName: "News" } },
  customerId: newId(),
  messageId: newId(),
  replyAddress: "reply+x@in.example.com",
  configurationSet: null,
};

function emailOf(more: Partial<StoredReply> = {}, where: Partial<ReplyContext> = {}) {
  const composed = composeReplyEmail({ ...reply, ...more }, { ...context, ...where });
  if (!composed.ok) throw new Error(composed.reason);
  return composed.email;
}

describe("an answer as an email", () => {
  test("is in the thread of the mail it answers, and has nothing of a campaign", () => {
    const email = emailOf();
    expect(email).toMatchObject({
      from: { name: "News", address: "news@example.com" },
      to: "ann@example.com",
      replyTo: "reply+x@in.example.com",
      subject: "Re: Prices",
      text: "Thank you!",
      html: "<html><body><p>Thank you!</p></body></html>",
      messageId: expect.stringMatching(/^<[\w-]{22}@example\.com>$/),
    });
    expect(email.headers).toEqual({
      "In-Reply-To": "<m2@mail.example>",
      References: "<m1@mail.example> <m2@mail.example>",
    });
  });

  test("names itself to SES where there is a configuration set", () => {
    const { headers } = emailOf({}, { configurationSet: "edgr" });
    expect(headers).toMatchObject({ "X-SES-CONFIGURATION-SET": "edgr" });
    expect(headers["X-SES-MESSAGE-TAGS"]).toMatch(/^edgr-message=[\w-]{22}, edgr-customer=[\w-]{22}$/);
  });

  test("keeps lines and paragraphs, and shows markup as it was typed", () => {
    expect(emailOf({ text: "a\nb\n\n<b>{{ c }}</b> & d" }).html).toBe(
      "<html><body><p>a<br>b</p><p>&lt;b&gt;{{ c }}&lt;/b&gt; &amp; d</p></body></html>",
    );
  });

  test("refers to the newest of a long thread, and to nothing that is no id", () => {
    const references = Array.from({ length: 60 }, (_, number) => `<number-${number}@mail.example>`);
    const header = emailOf({ references: ["<a b@c>", "x\r\nBcc: all@example.com", ...references] }).headers
      .References;
    expect(header?.length).toBeLessThanOrEqual(900);
    expect(header?.endsWith("<number-59@mail.example>")).toBe(true);
    expect(header).not.toContain("Bcc");
    expect(emailOf({ inReplyTo: "<a>\r\nBcc: all@example.com", references: [] }).headers).toEqual({});
  });

  test.each([
    [{}, { to: "nobody" }, /^to: /],
    [{ subject: "a\r\nBcc: all@example.com" }, {}, /^subject: /],
    [{}, { configurationSet: "a b" }, /^configurationSet: /],
    [{}, { replyAddress: "a b@example.com" }, /^replyTo: /],
  ])("is not made of %j, %j", (more, where, reason) => {
    const composed = composeReplyEmail({ ...reply, ...more }, { ...context, ...where });
    expect(composed).toEqual({ ok: false, reason: expect.stringMatching(reason) });
  });
});

test("any text in Telegram is what was typed, and as long", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 200 }), (given) => {
      const text = given.trim();
      fc.pre(text !== "");
      const { html } = composeReplyTelegram({ ...reply, channel: "telegram", text });
      expect(checkHtml(html)).toEqual({ ok: true, length: text.length });
    }),
  );
});

test.each([
  ["Prices", "Re: Prices"],
  ["Re: Prices", "Re: Prices"],
  ["RE: AW: Re[2]: Prices", "Re: Prices"],
  ["Regarding: Prices", "Re: Regarding: Prices"],
  ["", "Re:"],
])("the answer to %j is %j", (subject, answer) => {
  expect(replySubject(subject)).toBe(answer);
});
