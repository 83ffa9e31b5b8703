import { simpleParser } from "mailparser";
import { SMTPServer } from "smtp-server";
import { type Listening, listenOnLoopback } from "../mailbox/listen.ts";
import { type Journal, NODES } from "./journal.ts";

/**
 * A real SMTP server on loopback that accepts everything and delivers nothing.
 * @param port 0 for a free one
 */
export function startMailServer(port: number, journal: Journal): Promise<Listening> {
  const server = new SMTPServer({
    disabledCommands: ["AUTH", "STARTTLS"],
    onData(stream, session, done) {
      simpleParser(stream)
        .then((mail) => {
          const to = session.envelope.rcptTo[0]?.address ?? "";
          const node = NODES.find((name) => mail.subject?.toLowerCase().includes(name));
          const unsubscribe = /<(http[^>]+)>/.exec(headerText(mail.headerLines, "list-unsubscribe"))?.[1];
          if (node === undefined || unsubscribe === undefined || typeof mail.html !== "string") {
            return done(new Error("This is not one of the demo's emails"));
          }
          journal.add({ kind: "mail", to, node, html: mail.html, unsubscribe });
          done(null, `Ok demo-${node}-${to}`);
        })
        .catch(done);
    },
  });
  return listenOnLoopback(server, port);
}

function headerText(lines: readonly { key: string; line: string }[], key: string): string {
  return lines.find((line) => line.key === key)?.line ?? "";
}
