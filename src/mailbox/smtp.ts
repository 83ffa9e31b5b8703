import { type ParsedMail, simpleParser } from "mailparser";
import { SMTPServer } from "smtp-server";
import { listenOnLoopback } from "./listen.ts";

export type ReceivedMail = {
  id: number;
  to: string;
  from: string;
  subject: string;
  at: Date;
  html: string;
  text: string;
};

export type SmtpCatcher = {
  /** Newest first. */
  mails(): readonly ReceivedMail[];
  close(): Promise<void>;
};

/** The oldest is dropped when one more comes. */
const MAX_MAILS = 200;
const MAX_MAIL_BYTES = 20 * 1024 * 1024;

/** An SMTP server on loopback that takes every mail, whatever name and password come with it, and keeps it in memory. */
export async function catchMail(port: number, now: () => Date): Promise<SmtpCatcher> {
  const mails: ReceivedMail[] = [];
  let received = 0;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    allowInsecureAuth: true,
    size: MAX_MAIL_BYTES,
    onAuth: (auth, _session, done) => done(null, { user: auth.username ?? "" }),
    onData(stream, session, done) {
      const to = session.envelope.rcptTo.map(({ address }) => address).join(", ");
      simpleParser(stream)
        .then((mail) => {
          received += 1;
          mails.unshift(toReceived(mail, received, to, now()));
          mails.splice(MAX_MAILS);
          done(null, `Ok mailbox-${received}`);
        })
        .catch(done);
    },
  });
  const { close } = await listenOnLoopback(server, port);
  return { mails: () => mails, close };
}

function toReceived(mail: ParsedMail, id: number, to: string, at: Date): ReceivedMail {
  return {
    id,
    to,
    from: mail.from?.text ?? "",
    subject: mail.subject ?? "",
    at,
    html: typeof mail.html === "string" ? mail.html : "",
    text: mail.text ?? "",
  };
}
