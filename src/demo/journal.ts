import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { z } from "zod";

export const NODES = ["welcome", "reminder", "story", "thanks"] as const;

const node = z.enum(NODES);

const what = z.enum(["send", "delivery", "hard bounce", "soft bounce", "complaint", "reply", "forgery"]);

/** What is told of a mail. A forgery is told by somebody else. */
export type What = z.infer<typeof what>;

const entry = z.discriminatedUnion("kind", [
  /** The ports are kept, because the links in emails that were sent before a restart must go on working. */
  z.object({
    kind: z.literal("setup"),
    httpPort: z.number(),
    smtpPort: z.number(),
    snsPort: z.number(),
    apiKey: z.string(),
  }),
  /** Written before the mail server answers 250. */
  z.object({
    kind: z.literal("mail"),
    to: z.string(),
    node,
    html: z.string(),
    unsubscribe: z.string(),
    at: z.string(),
    /** The id that the mail server gives it, as Amazon SES does. */
    sesId: z.string(),
    messageIdHeader: z.string(),
    /** The header `X-SES-MESSAGE-TAGS`. */
    tags: z.string(),
    replyAddress: z.string(),
  }),
  /** EDGR confirmed its subscription. */
  z.object({ kind: z.literal("confirmed") }),
  /** Written after EDGR's answer to a notification; the same is told again when it is not there. */
  z.object({ kind: z.literal("told"), id: z.string(), to: z.string(), node, what, status: z.number() }),
  /** Written before a request goes out, so that after a kill it is known that it may have arrived. */
  z.object({ kind: z.literal("trying"), id: z.string() }),
  /** Written after EDGR's answer. */
  z.object({
    kind: z.literal("done"),
    id: z.string(),
    to: z.string(),
    node,
    action: z.enum(["open", "click", "unsubscribe", "resubscribe", "scan"]),
    agent: z.enum(["human", "proxy", "prefetch", "scanner"]),
    status: z.number(),
  }),
]);

export type Entry = z.infer<typeof entry>;
export type Mail = Extract<Entry, { kind: "mail" }>;
export type Done = Extract<Entry, { kind: "done" }>;
export type Told = Extract<Entry, { kind: "told" }>;
export type Setup = Extract<Entry, { kind: "setup" }>;

/**
 * What the demo's mail server accepted and its people did, on disk before it counts: the truth that EDGR's
 * numbers are compared with, also after everything was killed.
 */
export type Journal = {
  entries: readonly Entry[];
  add(entry: Entry): void;
  close(): void;
};

/** Opens or begins a journal. A last line that a kill cut short is left out: nobody was told it had happened. */
export function openJournal(file: string): Journal {
  const descriptor = openSync(file, "a+", 0o600);
  const lines = readFileSync(file, "utf8").split("\n");
  const entries: Entry[] = [];
  for (const line of lines) {
    const parsed = entry.safeParse(parseJson(line));
    if (parsed.success) entries.push(parsed.data);
  }
  if (lines.at(-1) !== "") writeSync(descriptor, "\n");

  return {
    entries,
    add(added) {
      writeSync(descriptor, `${JSON.stringify(added)}\n`);
      fsyncSync(descriptor);
      entries.push(added);
    },
    close: () => closeSync(descriptor),
  };
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
