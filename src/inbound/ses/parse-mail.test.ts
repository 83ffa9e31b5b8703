import { afterAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { MAX_MAIL_BYTES, parseMail, stripQuotation } from "./parse-mail.ts";
import { createMailReader } from "./read-mail.ts";

const lines = (...all: string[]) => Buffer.from(`${all.join("\r\n")}\r\n`);
const ann = "From: Ann <Ann@Example.com>";

describe("a mail", () => {
  test("is read with its sender, subject, references and attachments", async () => {
    const mail = await parseMail(
      lines(
        "From: =?utf-8?Q?Ann_M=C3=BCller?= <Ann@Example.com>, second@example.com",
        "Subject: =?utf-8?B?SMOp?=",
        "Message-ID: <id@example.com>",
        "In-Reply-To: <b@x>",
        "References: <a@x>",
        " <b@x>",
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "Content-Type: text/plain; charset=iso-8859-1",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "Caf=E9\0",
        "--b",
        "Content-Type: image/png",
        "Content-Disposition: attachment; filename=photo.png",
        "Content-Transfer-Encoding: base64",
        "",
        "AAAA",
        "--b--",
      ),
      "ann@example.com",
    );
    expect(mail).toEqual({
      fromAddress: "ann@example.com",
      fromName: "Ann Müller",
      subject: "Hé",
      messageIdHeader: "<id@example.com>",
      references: ["<b@x>", "<a@x>"],
      kind: "person",
      wholeText: "Café",
      html: null,
      attachments: [{ name: "photo.png", contentType: "image/png", bytes: 3 }],
    });
  });

  test("of HTML alone has its text, and the HTML as it came", async () => {
    const html = "<p>Yes</p><script>alert(1)</script><blockquote>Shall we?</blockquote>";
    const mail = await parseMail(lines(ann, "Content-Type: text/html", "", html), "");
    expect(mail.html?.trim()).toBe(html);
    expect(mail.wholeText).not.toContain("alert");
    expect(stripQuotation(mail.wholeText)).toBe("Yes");
  });

  test("in a charset nobody knows is read as far as it goes", async () => {
    const mail = await parseMail(lines(ann, "Content-Type: text/plain; charset=x-klingon", "", "nuqneH"), "");
    expect(mail.wholeText.trim()).toBe("nuqneH");
  });

  test("with nothing in it is a mail of nobody", async () => {
    expect(await parseMail(Buffer.alloc(0), "a@b.example")).toMatchObject({
      fromAddress: "",
      wholeText: "",
      subject: "",
    });
  });
});

describe("what a person wrote", () => {
  test.each([
    ["Yes!\n\nOn Mon, 3 Mar 2025 at 10:00, News <news@example.com> wrote:\n> Shall we?\n> Now?", "Yes!"],
    ["Ja\n\nAm 3. März 2025 schrieb News <news@example.com>:\n> Wollen wir?", "Ja"],
    ["Oui\n\nLe lun. 3 mars 2025 à 10:00, News <news@example.com> a écrit :\n> On y va ?", "Oui"],
    ["Ok\n\n-- \nAnn\nEngineer", "Ok"],
    ["Sure\n\nSent from my iPhone", "Sure"],
    ["Nothing is quoted.\n\nTwo paragraphs.", "Nothing is quoted.\n\nTwo paragraphs."],
  ])("of %p is %p", (whole, own) => expect(stripQuotation(whole)).toBe(own));

  test("is everything where nothing would be left", () => {
    expect(stripQuotation("> just\n> a quotation\n")).toBe("> just\n> a quotation");
  });
});

test("whatever bytes come as a mail, they are read or refused, and what is read can be stored", async () => {
  const headers = fc.array(
    fc.tuple(
      fc.constantFrom(
        "From",
        "Subject",
        "Content-Type",
        "Content-Transfer-Encoding",
        "In-Reply-To",
        "Message-ID",
      ),
      fc.oneof(
        fc.constantFrom(
          "multipart/mixed; boundary=b",
          "multipart/alternative; boundary=b",
          "message/rfc822",
          "text/html",
        ),
        fc.constantFrom(
          "base64",
          "quoted-printable",
          "text/plain; charset=utf-16",
          "=?utf-8?B?AA==?= <\0@x>",
        ),
        fc.string(),
      ),
    ),
  );
  const part = fc
    .tuple(headers, fc.string({ unit: "binary" }))
    .map(
      ([fields, body]) =>
        `${fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${body}\r\n--b\r\n`,
    );
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 6 }), fc.uint8Array(), async (parts, noise) => {
      const bytes = Buffer.concat([Buffer.from(parts.join("")), noise]);
      const mail = await parseMail(bytes, "a@b.example").catch(() => null);
      const text = JSON.stringify(mail);
      expect(text).not.toContain("\\u0000");
      expect(text.isWellFormed()).toBe(true);
      if (mail !== null) stripQuotation(mail.wholeText);
    }),
    { numRuns: 300 },
  );
});

describe("a mail that is made to do harm", () => {
  const reader = createMailReader();
  afterAll(() => reader.close());
  const read = (bytes: Buffer) => reader.read(bytes, "a@b.example");
  const harmless = () => expect(read(lines(ann, "", "Hi"))).resolves.toMatchObject({ ok: true, text: "Hi" });

  test("of ten thousand parts is refused, and the next one is read", async () => {
    const part = "--b\r\nContent-Disposition: attachment\r\n\r\nx\r\n";
    const mail = `${ann}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n${part.repeat(10_000)}--b--`;
    expect(await read(Buffer.from(mail))).toEqual({ ok: false, reason: "Max allowed child nodes exceeded" });
    await harmless();
  });

  test("nested a hundred thousand times is refused", async () => {
    const level = (number: number) =>
      `Content-Type: multipart/mixed; boundary=b${number}\r\n\r\n--b${number}\r\n`;
    const mail = Array.from({ length: 100_000 }, (_, number) => level(number)).join("");
    expect(await read(Buffer.from(mail))).toMatchObject({ ok: false });
    await harmless();
  });

  test("with half a million headers is refused", async () => {
    expect(await read(Buffer.from("X-A: b\r\n".repeat(500_000)))).toMatchObject({ ok: false });
    await harmless();
  });

  test("that is larger than SES takes is not looked at", async () => {
    expect(await read(Buffer.alloc(MAX_MAIL_BYTES + 1))).toEqual({
      ok: false,
      reason: "it is larger than 40 MiB",
    });
  });

  test("of HTML nested four hundred thousand times is read", async () => {
    expect(
      await read(lines(ann, "Content-Type: text/html", "", `${"<div>".repeat(400_000)}x`)),
    ).toMatchObject({ ok: true });
  });

  test("that takes too long is given up, and the next one is read", async () => {
    const hasty = createMailReader({ parseMs: 1, stripMs: 1_000 });
    const mail = Buffer.concat([lines(ann, "Content-Type: text/html", ""), Buffer.alloc(2_000_000, "<b>x")]);
    expect(await hasty.read(mail, "")).toEqual({ ok: false, reason: "it takes longer than 0.001 s to read" });
    await hasty.close();
    await harmless();
  });

  test("whose quotation can't be told apart in time is shown whole", async () => {
    const hasty = createMailReader({ parseMs: 20_000, stripMs: 1 });
    const whole = "On a ".repeat(9_990).trim();
    const read = await hasty.read(lines(ann, "", whole), "a@b.example");
    await hasty.close();
    expect(read).toMatchObject({ ok: true, text: whole });
  });
});
