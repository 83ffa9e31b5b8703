import { describe, expect, test } from "bun:test";
import { classifyFailure, providerMessageId, type SmtpFailure } from "./smtp-outcome.ts";

function failure(parts: Partial<SmtpFailure>): SmtpFailure {
  return { code: null, responseCode: null, response: null, message: "broken", contentTaken: false, ...parts };
}

/** As nodemailer tells of a reply to MAIL, RCPT or DATA. */
function reply(response: string, code = "EENVELOPE"): SmtpFailure {
  return failure({ code, response, responseCode: Number(response.slice(0, 3)) });
}

describe("a reply to a message", () => {
  // Amazon SES Developer Guide, "SMTP response codes returned by Amazon SES", and what Postfix, Exim and Exchange say.
  test.each([
    ["421 Too many concurrent SMTP connections", "unreachable"],
    ["451 Temporary service failure", "later"],
    ["451 Timeout waiting for data from client", "later"],
    ["454 Throttling failure: Daily message quota exceeded", "unreachable"],
    ["454 Throttling failure: Maximum sending rate exceeded", "unreachable"],
    ["454 Temporary service failure", "later"],
    ["530 Authentication required", "unreachable"],
    ["535 Authentication Credentials Invalid", "unreachable"],
    ["535 Account not subscribed to SES", "unreachable"],
    ["538 Encryption required", "unreachable"],
    ["552 Message is too long.", "refused"],
    ["553 <email-address> Invalid email address", "refused"],
    ["553 <email-address> address unknown", "refused"],
    [
      "554 Access denied: User UserARN is not authorized to perform ses:SendRawEmail on resource IdentityARN",
      "unreachable",
    ],
    [
      "554 Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: news@campaigns.example.org",
      "unreachable",
    ],
    ["554 Transaction failed: Invalid domain name", "refused"],
    ["450 4.2.0 <a@example.com>: Recipient address rejected: Greylisted", "later"],
    ["452 4.2.2 The email account that you tried to reach is over quota", "later"],
    ["550 5.1.1 <a@example.com>: Recipient address rejected: User unknown", "refused"],
    ["554 5.7.1 <a@example.com>: Relay access denied", "unreachable"],
    ["550 relay not permitted", "unreachable"],
    ["550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", "unreachable"],
  ] as const)("%p is %s", (response, kind) => {
    expect(classifyFailure(reply(response))).toEqual({ kind, reason: response });
    const afterContent = { ...reply(response, "EMESSAGE"), contentTaken: true };
    expect(classifyFailure(afterContent)).toEqual({ kind, reason: response });
  });

  test("is kept short and in characters a database takes", () => {
    const { reason } = { reason: "", ...classifyFailure(reply(`550 \0${"😀".repeat(5_000)}`)) };
    expect(reason.length).toBeLessThanOrEqual(1_000);
    expect(reason).not.toContain("\0");
    expect(reason.isWellFormed()).toBe(true);
  });
});

describe("a failure of the connection", () => {
  test.each([
    ["a greeting that says no", failure({ code: "EPROTOCOL", response: "554 No", responseCode: 554 })],
    ["a refused password", failure({ code: "EAUTH", response: "535 No", responseCode: 535 })],
    ["a temporary one", failure({ code: "EAUTH", response: "454 Later", responseCode: 454 })],
    ["no password", failure({ code: "EAUTH" })],
    ["no server", failure({ code: "ESOCKET" })],
    ["no encryption", failure({ code: "ETLS" })],
    ["silence", failure({ code: "ETIMEDOUT" })],
    ["anything unknown", failure({})],
  ])("(%s) says nothing about the message before its content was taken", (_, failed) => {
    expect(classifyFailure(failed).kind).toBe("unreachable");
  });

  test.each(["ESOCKET", "ECONNECTION", "ETIMEDOUT", "EPROTOCOL", null])(
    "(%p) leaves a message uncertain after its content was taken",
    (code) => {
      expect(classifyFailure(failure({ code, contentTaken: true }))).toEqual({
        kind: "uncertain",
        reason: "broken",
      });
    },
  );

  test("with an answer that is neither yes nor no leaves it uncertain too", () => {
    const odd = { response: "250 Ok", responseCode: 250, contentTaken: true };
    expect(classifyFailure(failure({ code: "EPROTOCOL", ...odd })).kind).toBe("uncertain");
  });
});

test("an envelope that nodemailer does not take is refused", () => {
  expect(classifyFailure(failure({ code: "EENVELOPE", message: "Invalid recipient" }))).toEqual({
    kind: "refused",
    reason: "Invalid recipient",
  });
});

describe("the id in a server's yes", () => {
  const ses = "0100018f3c1a2b4d-6e5f7a8b-9c0d-4e1f-8a2b-3c4d5e6f7a8b-000000";

  test.each([
    [`250 Ok ${ses}`, ses],
    [`250 ok ${ses}\r\n`, ses],
    [
      "250 Ok 01010160d7de98d8-21e57d9a-JZho-416c-bbe1-8ebaAexample-000000",
      "01010160d7de98d8-21e57d9a-JZho-416c-bbe1-8ebaAexample-000000",
    ],
    ["250 2.0.0 Ok: queued as 4F1Z2k3Bxyz", "4F1Z2k3Bxyz"],
    ["250 OK id=1s2AbC-0001aB-2d", null],
    ["250 2.0.0 OK  1714727724 5b1f17b1804b1-41bd00ae0e1si6142475e9.91 - gsmtp", null],
    ["250 Great success", null],
    ["250 Ok", null],
    ["", null],
  ])("of %p is %p", (response, id) => {
    expect(providerMessageId(response)).toBe(id);
  });
});
