import { randomBytes, randomUUID } from "node:crypto";
import { type ParsedMail, simpleParser } from "mailparser";
import { SMTPServer } from "smtp-server";
import { type Listening, listenOnLoopback } from "../mailbox/listen.ts";
import { type Journal, type Mail, NODES } from "./journal.ts";

/**
 * A real SMTP server on loopback that accepts everything, as Amazon SES does, and delivers nothing.
 * @param port 0 for a free one
 * @param publish tells of a mail; when it resolves, the mail is answered
 */
export function startMailServer(
  port: number,
  journal: Journal,
  publish: (mail: Mail) => Promise<void>,
): Promise<Listening> {
  const server = new SMTPServer({
    disabledCommands: ["AUTH", "STARTTLS"],
    onData(stream, session, done) {
      const to = session.envelope.rcptTo[0]?.address ?? "";
      simpleParser(stream)
        .then(async (parsed) => {
          const mail = readMail(to, parsed);
          if (mail === null) return done(new Error("This is not one of the demo's emails"));
          journal.add(mail);
          await publish(mail);
          done(null, `Ok ${mail.sesId}`);
        })
        .catch(done);
    },
  });
  return listenOnLoopback(server, port);
}

function readMail(to: string, { subject, html, messageId, replyTo, headerLines }: ParsedMail): Mail | null {
  const node = NODES.find((name) => subject?.toLowerCase().includes(name));
  const header = (key: string) => headerLines.find((line) => line.key === key)?.line ?? "";
  const unsubscribe = /<(http[^>]+)>/.exec(header("list-unsubscribe"))?.[1];
  const tags = /:\s*(.+)$/s.exec(header("x-ses-message-tags"))?.[1]?.replace(/\s+/g, " ");
  const replyAddress = replyTo?.value[0]?.address;
  if (node === undefined || unsubscribe === undefined || typeof html !== "string") return null;
  if (messageId === undefined || tags === undefined || replyAddress === undefined) return null;
  const at = new Date().toISOString();
  const sesId = `${randomBytes(8).toString("hex")}-${randomUUID()}-000000`;
  return {
    kind: "mail",
    to,
    node,
    html,
    unsubscribe,
    at,
    sesId,
    messageIdHeader: messageId,
    tags,
    replyAddress,
  };
}
