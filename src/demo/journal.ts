import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { z } from "zod";

export const NODES = ["welcome", "reminder", "story", "thanks"] as const;

/** The message that goes to Telegram. */
export const NUDGE = "nudge" as const;

const node = z.enum(NODES);

const what = z.enum(["send", "delivery", "hard bounce", "soft bounce", "complaint", "reply", "forgery"]);

/** What is told of a mail. A forgery is told by somebody else. */
export type What = z.infer<typeof what>;

/** A button below a message in Telegram, as the Bot API writes it. */
export const button = z.object({
  text: z.string(),
  url: z.string().optional(),
  callback_data: z.string().optional(),
});

const entry = z.discriminatedUnion("kind", [
  /** The ports are kept, because the links in emails that were sent before a restart must go on working. */
  z.object({
    kind: z.literal("setup"),
    httpPort: z.number(),
    smtpPort: z.number(),
    snsPort: z.number(),
    telegramPort: z.number(),
    botToken: z.string(),
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
  /** What the bot was told last is where updates go; null: nowhere. */
  z.object({
    kind: z.literal("webhook"),
    webhook: z
      .object({
        url: z.string(),
        secret: z.string(),
        maxConnections: z.number(),
        allowedUpdates: z.array(z.string()),
      })
      .nullable(),
  }),
  /** A message in Telegram, written before the bot is told that it is sent. */
  z.object({
    kind: z.literal("bubble"),
    chatId: z.number(),
    number: z.number(),
    text: z.string(),
    buttons: z.array(button),
    at: z.string(),
  }),
  /** Written when EDGR has taken an update; the same is delivered again when it is not there. */
  z.object({ kind: z.literal("taken"), updateId: z.number() }),
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
    node: z.enum([...NODES, NUDGE]),
    action: z.enum(["open", "click", "unsubscribe", "resubscribe", "scan"]),
    agent: z.enum(["human", "proxy", "prefetch", "scanner"]),
    status: z.number(),
    at: z.string(),
  }),
]);

export type Entry = z.infer<typeof entry>;
export type Mail = Extract<Entry, { kind: "mail" }>;
export type Bubble = Extract<Entry, { kind: "bubble" }>;
export type Done = Extract<Entry, { kind: "done" }>;
export type Told = Extract<Entry, { kind: "told" }>;
export type Setup = Extract<Entry, { kind: "setup" }>;

/**
 * What the demo's mail server and its Telegram accepted and its people did, on disk before it counts: the truth that EDGR's
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
