import { afterEach, describe, expect, test } from "bun:test";
import { type SmtpFault, type SmtpSink, type SmtpStep, startSmtpSink } from "../../test/support/smtp.ts";
import { type SmtpCredential, smtpSettings } from "../credentials/schema.ts";
import type { ComposedEmail } from "./compose.ts";
import { openSmtpChannel, type SmtpChannel } from "./smtp.ts";

const opened: { close(): unknown }[] = [];

afterEach(async () => {
  for (const { close } of opened.splice(0).toReversed()) await close();
});

async function sink(options: Parameters<typeof startSmtpSink>[0] = {}): Promise<SmtpSink> {
  const started = await startSmtpSink(options);
  opened.push(started);
  return started;
}

/** @param answerMs so long that it decides nothing, where nobody is silent */
function channelTo(
  port: number,
  settings: object = {},
  password: string | null = null,
  answerMs = 10_000,
): SmtpChannel {
  const credential: SmtpCredential = {
    customerId: "c",
    id: "i",
    name: "test",
    settings: smtpSettings.parse({ host: "127.0.0.1", port, fromEmail: "news@example.com", ...settings }),
    password,
  };
  const channel = openSmtpChannel(credential, { connectMs: 5_000, answerMs, idleMs: 5_000 });
  opened.push(channel);
  return channel;
}

function email(name: string, html = "<p>Hi</p>"): ComposedEmail {
  return {
    from: { name: "News, of Example", address: "news@example.com" },
    to: `${name}@example.com`,
    replyTo: "help@example.com",
    subject: "Grüße",
    html,
    text: "Hi",
    headers: { "List-Unsubscribe": "<https://example.com/u>" },
    messageId: `<${name}@example.com>`,
  };
}

const at = (step: SmtpStep["at"], fault: SmtpFault) => (now: SmtpStep) => (now.at === step ? fault : null);

describe("a message handed over", () => {
  test("arrives as it was composed, and the server's id comes back", async () => {
    const server = await sink();
    const outcome = await channelTo(server.port).send(email("ann"));
    expect(outcome).toMatchObject({ kind: "sent", providerMessageId: expect.stringMatching(/^0100018f/) });
    const [received] = server.received;
    expect(received).toMatchObject({ from: "news@example.com", to: "ann@example.com" });
    expect(received?.mail).toMatchObject({ subject: "Grüße", messageId: "<ann@example.com>" });
    expect(received?.mail.from?.value).toEqual([{ name: "News, of Example", address: "news@example.com" }]);
    expect(received?.mail.replyTo?.value[0]?.address).toBe("help@example.com");
    expect(received?.mail.headers.get("list")).toMatchObject({
      unsubscribe: { url: "https://example.com/u" },
    });
  });

  test("uses no more connections than it may", async () => {
    const server = await sink();
    const channel = channelTo(server.port, { maxConnections: 2 });
    await Promise.all(Array.from({ length: 20 }, (_, number) => channel.send(email(`c${number}`))));
    expect(server.accepted()).toHaveLength(20);
    expect(server.connections()).toBe(2);
  });
});

describe.each([false, true])("with pipelining %p, what the server does decides:", (pipelining) => {
  test.each([
    ["mail", "450 4.2.0 Greylisted", "later"],
    ["rcpt", "452 4.2.2 Mailbox full", "later"],
    ["data", "451 Temporary service failure", "later"],
    ["mail", "553 <news> Invalid email address", "refused"],
    ["rcpt", "550 5.1.1 No such user", "refused"],
    ["data", "554 Transaction failed: Invalid domain name", "refused"],
    ["data", "554 Message rejected: Email address is not verified.", "unreachable"],
    ["mail", "530 Must issue a STARTTLS command first", "unreachable"],
    ["data", "454 Throttling failure: Maximum sending rate exceeded", "unreachable"],
    ["data", "421 Too many concurrent SMTP connections", "unreachable"],
    ["connect", "421 Too busy", "unreachable"],
    ["connect", "554 No service for you", "unreachable"],
  ] as const)("at %s, %p makes it %s, with the server's words", async (step, reply, kind) => {
    const server = await sink({ pipelining });
    server.script(at(step, { reply }));
    const outcome = await channelTo(server.port).send(email("ann"));
    expect(outcome).toEqual({ kind, reason: reply } as typeof outcome);
  });

  test.each(["connect", "mail", "rcpt"] as const)("cut off at %s, it never left", async (step) => {
    const server = await sink({ pipelining });
    server.script(at(step, "drop"));
    expect((await channelTo(server.port).send(email("ann"))).kind).toBe("unreachable");
    expect(server.received).toEqual([]);
  });

  test.each(["mail", "rcpt"] as const)("silence at %s ends in time, and it never left", async (step) => {
    const server = await sink({ pipelining });
    server.script(at(step, "hang"));
    expect((await channelTo(server.port, {}, null, 200).send(email("ann"))).kind).toBe("unreachable");
  });

  test.each(["drop", "hang"] as const)("a %s after the content leaves it uncertain", async (fault) => {
    const server = await sink({ pipelining });
    server.script(at("data", fault));
    const channel = channelTo(server.port, {}, null, fault === "hang" ? 1_000 : 10_000);
    expect((await channel.send(email("ann"))).kind).toBe("uncertain");
    expect(server.received).toHaveLength(1);
  });

  test("no message goes out twice by itself when a connection that served before is cut", async () => {
    const server = await sink({ pipelining });
    const channel = channelTo(server.port, { maxConnections: 1 });
    expect((await channel.send(email("first"))).kind).toBe("sent");
    server.script(at("data", "drop"));
    expect((await channel.send(email("second"))).kind).toBe("uncertain");
    server.script(null);
    expect((await channel.send(email("third"))).kind).toBe("sent");
    expect(server.received.map(({ to }) => to.split("@")[0])).toEqual(["first", "second", "third"]);
  });

  test("one whose connection was cut before its content goes out over the next, once", async () => {
    const server = await sink({ pipelining });
    const channel = channelTo(server.port, { maxConnections: 1 });
    await channel.send(email("first"));
    server.script(at("mail", "drop"));
    const second = channel.send(email("second"));
    server.script((step) => {
      if (step.at === "connect") server.script(null);
      return step.at === "mail" ? "drop" : null;
    });
    expect((await second).kind).toBe("sent");
    expect(server.received.map(({ to }) => to.split("@")[0])).toEqual(["first", "second"]);
  });

  test("a long message that is cut off in the middle is uncertain", async () => {
    const server = await sink({ pipelining });
    server.script(at("content", "drop"));
    const long = email("ann", "<p>word</p>".repeat(200_000));
    expect((await channelTo(server.port).send(long)).kind).toBe("uncertain");
    expect(server.received).toEqual([]);
  });
});

describe("a server that can't be used", () => {
  test("that nobody listens at, is unreachable, and verifying says why", async () => {
    const server = await sink();
    await server.close();
    const channel = channelTo(server.port);
    expect((await channel.send(email("ann"))).kind).toBe("unreachable");
    expect(await channel.verify()).toContain("ECONNREFUSED");
  });

  test("that refuses the password, is unreachable with its words", async () => {
    const server = await sink();
    server.script(at("auth", { reply: "535 Authentication Credentials Invalid" }));
    const channel = channelTo(server.port, { username: "ann" }, "wrong");
    expect(await channel.send(email("ann"))).toEqual({
      kind: "unreachable",
      reason: "535 Authentication Credentials Invalid",
    });
    expect(await channel.verify()).toContain("535 Authentication Credentials Invalid");
    expect(server.received).toEqual([]);
  });

  test("that offers no encryption where it is required, is sent nothing", async () => {
    const server = await sink();
    expect((await channelTo(server.port, { requireTls: true }).send(email("ann"))).kind).toBe("unreachable");
    expect(server.received).toEqual([]);
  });

  test("that shows a certificate nobody trusts, is sent nothing", async () => {
    const server = await sink({ startTls: true });
    expect((await channelTo(server.port).send(email("ann"))).kind).toBe("unreachable");
    expect(server.received).toEqual([]);
  });

  test("that takes the password, verifies", async () => {
    const server = await sink();
    expect(await channelTo(server.port, { username: "ann" }, "right").verify()).toBeNull();
  });
});
