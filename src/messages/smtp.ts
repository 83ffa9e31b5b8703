import { PassThrough, pipeline } from "node:stream";
import nodemailer from "nodemailer";
import { z } from "zod";
import type { SmtpCredential } from "../credentials/schema.ts";
import type { ComposedEmail } from "./compose.ts";
import { classifyFailure, providerMessageId, type SendOutcome } from "./smtp-outcome.ts";

export type SmtpChannel = {
  /** Hands one message over; never rejects. */
  send(email: ComposedEmail): Promise<SendOutcome>;
  /** Connects and logs in, and leaves. @returns null, or why it can't */
  verify(): Promise<string | null>;
  close(): void;
};

export type SmtpTimeouts = {
  connectMs: number;
  /** Silence of the server after which an answer counts as lost. */
  answerMs: number;
  /** How long an unused connection is kept. */
  idleMs: number;
};

// An answer given up makes a message uncertain, so we are as patient as RFC 5321 section 4.5.3.2 asks for MAIL and
// RCPT. Amazon SES closes idle connections after about ten seconds.
const TIMEOUTS: SmtpTimeouts = { connectMs: 10_000, answerMs: 300_000, idleMs: 8_000 };

const smtpError = z.object({
  code: z.string().optional(),
  responseCode: z.number().optional(),
  response: z.string().optional(),
  message: z.string(),
});

/**
 * A pool of connections to one SMTP server. It connects when the first message comes. By itself it sends a message
 * again only when a connection broke before it had read any of the content.
 */
export function openSmtpChannel(credential: SmtpCredential, timeouts = TIMEOUTS): SmtpChannel {
  const { host, port, secure, requireTls, username, maxConnections } = credential.settings;
  const transport = nodemailer.createTransport({
    pool: true,
    host,
    port,
    secure,
    requireTLS: requireTls,
    maxConnections,
    // Enough for a connection that the server had closed meanwhile; what goes on failing is for the caller to know.
    maxRequeues: 2,
    connectionTimeout: timeouts.connectMs,
    greetingTimeout: timeouts.connectMs,
    socketTimeout: timeouts.answerMs,
    idleTimeout: timeouts.idleMs,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(username === null ? {} : { auth: { user: username, pass: credential.password ?? "" } }),
  });

  // The stream that a connection reads a message from, by Message-ID: whether it was read tells, when no answer
  // comes, a message that never left from one that may have arrived.
  const contents = new Map<string, PassThrough>();
  transport.use("stream", (mail, done) => {
    const id = String(mail.data.messageId);
    mail.message.processFunc((input) => {
      const content = new PassThrough();
      contents.set(id, content);
      return pipeline(input, content, () => {});
    });
    done();
  });

  async function send(email: ComposedEmail): Promise<SendOutcome> {
    try {
      const info = await transport.sendMail({
        envelope: { from: email.from.address, to: [email.to] },
        from: email.from,
        to: { name: "", address: email.to },
        ...(email.replyTo === null ? {} : { replyTo: { name: "", address: email.replyTo } }),
        subject: email.subject,
        html: email.html,
        text: email.text,
        messageId: email.messageId,
        headers: email.headers,
      });
      return { kind: "sent", providerMessageId: providerMessageId(info.response), response: info.response };
    } catch (error) {
      const failure = smtpError.safeParse(error);
      const parts = failure.success ? failure.data : { message: String(error) };
      return classifyFailure({
        code: "code" in parts ? (parts.code ?? null) : null,
        responseCode: "responseCode" in parts ? (parts.responseCode ?? null) : null,
        response: "response" in parts ? (parts.response ?? null) : null,
        message: parts.message,
        contentTaken: contents.get(email.messageId)?.readableDidRead ?? false,
      });
    } finally {
      contents.delete(email.messageId);
    }
  }

  async function verify(): Promise<string | null> {
    try {
      await transport.verify();
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  return { send, verify, close: () => transport.close() };
}
