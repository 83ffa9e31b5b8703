import { AppError } from "../errors.ts";
import { listen } from "../http/server.ts";
import { mailboxPages } from "../mailbox/pages.ts";
import { catchMail } from "../mailbox/smtp.ts";
import { type Command, parseOptions, UsageError } from "./command.ts";

const SMTP_PORT = "2525";
const HTTP_PORT = "8025";

export const mailbox: Command = {
  summary: "catch mail on this machine and show it in the browser, to try campaigns without a mail provider",
  help: `Usage: edgr mailbox [--smtp-port N] [--http-port N]

An SMTP server on loopback that takes every mail, and a page that shows it. Nothing is passed on or kept. Make a
credential with host 127.0.0.1 and the SMTP port, and what EDGR sends arrives here.

Options:
  --smtp-port N  ${SMTP_PORT} unless said otherwise
  --http-port N  ${HTTP_PORT} unless said otherwise

Example:
  npx edgr mailbox`,

  async run(args, terminal) {
    const { values } = parseOptions(
      args,
      {
        "smtp-port": { type: "string", default: SMTP_PORT },
        "http-port": { type: "string", default: HTTP_PORT },
      },
      0,
    );
    const smtpPort = parsePort("--smtp-port", values["smtp-port"]);
    const httpPort = parsePort("--http-port", values["http-port"]);
    const stopped = new Promise<void>((resolve) => {
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
      process.once("message", () => resolve());
      process.once("disconnect", () => resolve());
    });
    const catcher = await catchMail(smtpPort, () => new Date()).catch((error: unknown) => {
      throw new AppError("unavailable", `The mailbox cannot listen on port ${smtpPort} (${String(error)}).`);
    });
    const pages = listen(mailboxPages(catcher.mails), { host: "127.0.0.1", port: httpPort });
    terminal.print(
      `Mail sent to 127.0.0.1:${smtpPort} shows up at http://localhost:${httpPort}. Ctrl-C ends it.`,
    );
    await stopped;
    await pages.stop(0);
    await catcher.close();
    return 0;
  },
};

function parsePort(option: string, text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new UsageError(`${option} must be a port.`);
  return port;
}
