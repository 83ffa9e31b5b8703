import { simpleParser } from "mailparser";
import { SMTPServer } from "smtp-server";
import { type Journal, NODES } from "./journal.ts";

/** A real SMTP server on loopback that accepts everything and delivers nothing. */
export type MailServer = { port: number; close(): Promise<void> };

/** @param port 0 for a free one */
export async function startMailServer(port: number, journal: Journal): Promise<MailServer> {
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
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

function headerText(lines: readonly { key: string; line: string }[], key: string): string {
  return lines.find((line) => line.key === key)?.line ?? "";
}
