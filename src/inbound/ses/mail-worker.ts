import { parentPort } from "node:worker_threads";
import type { Mail } from "./mail.ts";
import { parseMail, stripQuotation } from "./parse-mail.ts";

/** What the thread is told, once for each mail. */
export type MailTask = { bytes: Uint8Array; envelopeFrom: string };

/** What it answers: the mail or why there is none, and after a mail what of its text the person wrote. */
export type MailAnswer =
  | { kind: "mail"; mail: Mail }
  | { kind: "stripped"; text: string }
  | { kind: "failed"; reason: string };

parentPort?.on("message", async (task: MailTask) => {
  const answer = (message: MailAnswer) => parentPort?.postMessage(message);
  try {
    const mail = await parseMail(Buffer.from(task.bytes), task.envelopeFrom);
    answer({ kind: "mail", mail });
    answer({ kind: "stripped", text: stripQuotation(mail.wholeText) });
  } catch (error) {
    answer({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
  }
});
