import { once } from "node:events";
import { type ParsedMail, simpleParser } from "mailparser";
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from "smtp-server";

/**
 * Where in a session the sink is: `content` is when the first of the content has come, `data` when all of it has and
 * is to be answered.
 */
export type SmtpStep = {
  at: "connect" | "auth" | "mail" | "rcpt" | "content" | "data";
  /** Envelope addresses as far as they are known; null before. */
  from: string | null;
  to: string | null;
};

/**
 * What the sink does instead of accepting: answers with this line (`450 4.2.0 Greylisted`), cuts the connection
 * without an answer, or says nothing and keeps it open.
 */
export type SmtpFault = { reply: string } | "drop" | "hang";

/** A mail whose content came in completely, and the reply to it; null when the sink was told to give none. */
export type ReceivedMail = {
  from: string;
  to: string;
  raw: Buffer;
  mail: ParsedMail;
  reply: string | null;
};

export type SmtpSink = {
  host: string;
  port: number;
  /** In the order in which they came, refused ones among them. */
  received: ReceivedMail[];
  /** The ones answered with 250. */
  accepted(): ReceivedMail[];
  /** How often somebody connected. */
  connections(): number;
  /** Decides at every step from now on; null goes on as usual. */
  script(decide: ((step: SmtpStep) => SmtpFault | null) | null): void;
  /** Resolves when that many mails have come in. */
  until(count: number): Promise<void>;
  close(): Promise<void>;
};

type Callback = (error?: Error | null, message?: string) => void;

/**
 * A real SMTP server on loopback that keeps what it is sent and answers like Amazon SES.
 * @param options `delayMs`: how long it takes to answer a mail. `pipelining`: whether it offers that (SES does
 * not). `startTls`: whether it offers that, with a certificate nobody trusts
 */
export async function startSmtpSink(
  options: { port?: number; delayMs?: number; pipelining?: boolean; startTls?: boolean } = {},
): Promise<SmtpSink> {
  const received: ReceivedMail[] = [];
  let waiting: { count: number; resolve: () => void }[] = [];
  let decide: ((step: SmtpStep) => SmtpFault | null) | null = null;
  let connections = 0;

  /** Answers one step of a session, as usual or as the script says. @returns the reply, or null when none went out */
  function answer(
    at: SmtpStep["at"],
    session: SMTPServerSession,
    usual: string,
    done: Callback,
  ): string | null {
    const { mailFrom, rcptTo } = session.envelope;
    const from = mailFrom === false ? null : mailFrom.address;
    const fault = decide?.({ at, from, to: rcptTo[0]?.address ?? null }) ?? null;
    if (fault === "hang") return null;
    if (fault === "drop") {
      for (const connection of server.connections) {
        if (connection.id === session.id) connection._socket.destroy();
      }
      return null;
    }
    if (fault === null) done(null, usual.slice(4));
    else
      done(Object.assign(new Error(fault.reply.slice(4)), { responseCode: Number(fault.reply.slice(0, 3)) }));
    return fault?.reply ?? usual;
  }

  async function receive(stream: SMTPServerDataStream, session: SMTPServerSession, done: Callback) {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) {
      if (chunks.length === 0) answer("content", session, "354 Go on", () => {});
      chunks.push(chunk);
    }
    const raw = Buffer.concat(chunks);
    const mail = await simpleParser(raw);
    if (options.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, options.delayMs));
    const { mailFrom, rcptTo } = session.envelope;
    const entry: ReceivedMail = {
      from: mailFrom === false ? "" : mailFrom.address,
      to: rcptTo.map(({ address }) => address).join(", "),
      raw,
      mail,
      reply: null,
    };
    received.push(entry);
    entry.reply = answer("data", session, `250 Ok ${sesId(received.length)}`, done);
    for (const { count, resolve } of waiting) if (received.length >= count) resolve();
    waiting = waiting.filter(({ count }) => received.length < count);
  }

  const server = new SMTPServer({
    authOptional: true,
    allowInsecureAuth: true,
    disableReverseLookup: true,
    hideSTARTTLS: options.startTls !== true,
    hidePIPELINING: options.pipelining !== true,
    hideENHANCEDSTATUSCODES: true,
    closeTimeout: 10,
    logger: false,
    onConnect(session, done) {
      connections += 1;
      answer("connect", session, "220 sink", done);
    },
    onAuth({ username }, session, done) {
      answer("auth", session, "235 Ok", (error) => (error ? done(error) : done(null, { user: username })));
    },
    onMailFrom: (address, session, done) => {
      const envelope = { ...session.envelope, mailFrom: address };
      answer("mail", { ...session, envelope }, "250 Ok", done);
    },
    onRcptTo: (address, session, done) => {
      const envelope = { ...session.envelope, rcptTo: [address] };
      answer("rcpt", { ...session, envelope }, "250 Ok", done);
    },
    onData(stream, session, done) {
      receive(stream, session, done).catch(done);
    },
  });
  // Connections that a fault cut off, or that a killed client left, say so here.
  server.on("error", () => {});
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server.server, "listening");
  const address = server.server.address();
  if (address === null || typeof address === "string") throw new Error("The sink has no port");

  return {
    host: "127.0.0.1",
    port: address.port,
    received,
    accepted: () => received.filter(({ reply }) => reply?.startsWith("250") === true),
    connections: () => connections,
    script(next) {
      decide = next;
    },
    until: (count) =>
      received.length >= count
        ? Promise.resolve()
        : new Promise((resolve) => waiting.push({ count, resolve })),
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        for (const connection of server.connections) connection._socket.destroy();
      }),
  };
}

/** The form of Amazon SES's message ids, in the order they were given. */
function sesId(number: number): string {
  return `0100018f3c1a2b4d-${String(number).padStart(8, "0")}-9c0d-4e1f-8a2b-3c4d5e6f7a8b-000000`;
}
