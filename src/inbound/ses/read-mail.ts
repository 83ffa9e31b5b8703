import { Worker } from "node:worker_threads";
import type { Mail } from "./mail.ts";
import type { MailAnswer, MailTask } from "./mail-worker.ts";
import { MAX_MAIL_BYTES } from "./parse-mail.ts";

/** `text` is what the person wrote. */
export type ReadMail = { ok: true; mail: Mail; text: string } | { ok: false; reason: string };

export type MailReader = {
  /** One at a time. */
  read(bytes: Buffer, envelopeFrom: string): Promise<ReadMail>;
  /** Ends the thread; the next mail begins another. */
  close(): Promise<void>;
};

/** A mail of 150 kB takes some 10 ms, one of 40 MB some 2 s. */
const LIMITS = { parseMs: 20_000, stripMs: 2_000 };

/**
 * Reads mails in a thread of its own, which can be stopped: others decide what is in a mail, and a parser or a regular
 * expression that it keeps busy must not keep this thread from answering.
 */
export function createMailReader(limits = LIMITS): MailReader {
  let worker: Worker | null = null;

  async function stop(): Promise<void> {
    const stopping = worker;
    worker = null;
    await stopping?.terminate();
  }

  return {
    async read(bytes, envelopeFrom) {
      if (bytes.length > MAX_MAIL_BYTES) return { ok: false, reason: "it is larger than 40 MiB" };
      worker ??= new Worker(new URL("./mail-worker.ts", import.meta.url));
      const { read, isOver } = await ask(worker, { bytes, envelopeFrom }, limits);
      if (!isOver) await stop();
      return read;
    },
    close: stop,
  };
}

/** @returns `isOver`: whether the thread has answered everything and can be asked again */
function ask(
  worker: Worker,
  task: MailTask,
  { parseMs, stripMs }: typeof LIMITS,
): Promise<{ read: ReadMail; isOver: boolean }> {
  return new Promise((resolve) => {
    let mail: Mail | null = null;
    const settle = (read: ReadMail, isOver: boolean) => {
      clearTimeout(timer);
      worker.removeAllListeners();
      resolve({ read, isOver });
    };
    const late = () => {
      // What could not be told apart in time is shown whole.
      if (mail !== null) settle({ ok: true, mail, text: mail.wholeText.trim() }, false);
      else settle({ ok: false, reason: `it takes longer than ${parseMs / 1000} s to read` }, false);
    };
    let timer = setTimeout(late, parseMs);
    worker.on("error", (error) =>
      settle({ ok: false, reason: error instanceof Error ? error.message : String(error) }, false),
    );
    worker.on("message", (answer: MailAnswer) => {
      // The parser may go on with what it has refused.
      if (answer.kind === "failed") settle({ ok: false, reason: answer.reason }, false);
      else if (answer.kind === "mail") {
        mail = answer.mail;
        clearTimeout(timer);
        timer = setTimeout(late, stripMs);
      } else if (mail !== null) settle({ ok: true, mail, text: answer.text }, true);
    });
    worker.postMessage(task);
  });
}
