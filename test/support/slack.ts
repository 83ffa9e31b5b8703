import http from "node:http";
import { z } from "zod";
import { below, type Shown } from "./shown.ts";
import { readMrkdwn, readPlainText } from "./slack-markup.ts";

/** What an incoming webhook answers that can no longer be used, and with which status. */
export const SLACK_ENDINGS = {
  invalid_token: 403,
  action_prohibited: 403,
  posting_to_general_channel_denied: 403,
  team_disabled: 403,
  channel_not_found: 404,
  no_service: 404,
  no_team: 404,
  channel_is_archived: 410,
} as const;

export type SlackEnding = keyof typeof SLACK_ENDINGS;

/** A message that Slack took. */
export type SlackPosted = {
  /** What the channel sees. */
  shown: Shown;
  /** What notifications say, and whom it would call. */
  notified: Shown;
  mayUnfurl: boolean;
};

export type SlackStandIn = {
  /** An incoming webhook's address. */
  url: string;
  posted: SlackPosted[];
  /** What was answered to each request, the oldest first. */
  answers: { status: number; body: string }[];
  /** From now on the webhook can't be used; null: it can again. */
  end(ending: SlackEnding | null): void;
  /** The next request is answered so, and does nothing. */
  failNext(status: number, body: string, headers?: { [name: string]: string }): void;
  close(): Promise<void>;
};

export type SlackOptions = {
  /** Refuses more than about one message a second. */
  isLimited?: boolean;
  /** Milliseconds. */
  now?: () => number;
};

const PATH = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX";
const MAX_BLOCKS = 50;
const MAX_TEXT_CHARS = 3_000;
const MAX_FIELD_CHARS = 2_000;
/** Undocumented; what others have found. */
const MAX_TOTAL_CHARS = 13_000;
const MAX_ATTACHMENTS = 100;
/** Slack lets short bursts pass. */
const BURST = 3;

const textOf = (max: number) =>
  z.discriminatedUnion("type", [
    z.strictObject({
      type: z.literal("plain_text"),
      text: z.string().min(1).max(max),
      emoji: z.boolean().default(true),
    }),
    z.strictObject({
      type: z.literal("mrkdwn"),
      text: z.string().min(1).max(max),
      verbatim: z.boolean().default(false),
    }),
  ]);

const block = z.discriminatedUnion("type", [
  z
    .strictObject({
      type: z.literal("section"),
      text: textOf(MAX_TEXT_CHARS).optional(),
      fields: z.array(textOf(MAX_FIELD_CHARS)).min(1).max(10).optional(),
    })
    .refine(({ text, fields }) => text !== undefined || fields !== undefined),
  z.strictObject({ type: z.literal("header"), text: textOf(150) }),
  z.strictObject({ type: z.literal("context"), elements: z.array(textOf(MAX_TEXT_CHARS)).min(1).max(10) }),
  z.strictObject({ type: z.literal("divider") }),
]);

const payload = z.looseObject({
  text: z.string().default(""),
  mrkdwn: z.boolean().default(true),
  unfurl_links: z.boolean().default(true),
  unfurl_media: z.boolean().default(true),
  link_names: z.union([z.boolean(), z.number()]).optional(),
  parse: z.string().optional(),
  blocks: z.array(z.unknown()).default([]),
  attachments: z.array(z.unknown()).default([]),
});

/** A Slack on loopback with one incoming webhook, which behaves as protocols 6.2 say. Close it in `afterAll`. */
export async function startSlack({
  isLimited = false,
  now = Date.now,
}: SlackOptions = {}): Promise<SlackStandIn> {
  const posted: SlackPosted[] = [];
  const answers: SlackStandIn["answers"] = [];
  const failures: { status: number; body: string; headers: { [name: string]: string } }[] = [];
  let ending: SlackEnding | null = null;
  let allowance = BURST;
  let allowedAt = now();

  function isTooMuch(): boolean {
    const at = now();
    allowance = Math.min(BURST, allowance + (at - allowedAt) / 1_000);
    allowedAt = at;
    if (allowance < 1) return true;
    allowance -= 1;
    return false;
  }

  function answer(path: string, body: string) {
    const failure = failures.shift();
    if (failure !== undefined) return failure;
    const plain = (status: number, text: string) => ({ status, body: text, headers: {} });
    if (path !== PATH) return plain(404, "no_service");
    if (ending !== null) return plain(SLACK_ENDINGS[ending], ending);
    if (isLimited && isTooMuch())
      return { status: 429, body: "rate_limited", headers: { "Retry-After": "1" } };
    const read = readMessage(body);
    if (typeof read === "string") return plain(400, read);
    posted.push(read);
    return plain(200, "ok");
  }

  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    const { status, body, headers } = answer(request.url ?? "", Buffer.concat(chunks).toString("utf8"));
    answers.push({ status, body });
    response.writeHead(status, { "Content-Type": "text/html", ...headers });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a server on a port has an address");

  return {
    url: `http://127.0.0.1:${address.port}${PATH}`,
    posted,
    answers,
    end: (next) => {
      ending = next;
    },
    failNext: (status, body, headers = {}) => void failures.push({ status, body, headers }),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** @returns why Slack takes no such message, as it says it, or the message */
export function readMessage(body: string): SlackPosted | string {
  const parsed = payload.safeParse(parseJson(body));
  if (!parsed.success) return "invalid_payload";
  const { text, blocks, attachments, mrkdwn } = parsed.data;
  if (text === "" && blocks.length === 0 && attachments.length === 0) return "no_text";
  if (attachments.length > MAX_ATTACHMENTS) return "too_many_attachments";
  if (blocks.length > MAX_BLOCKS) return "invalid_blocks";
  if (JSON.stringify(blocks).length > MAX_TOTAL_CHARS) return "msg_blocks_too_long";
  const read = z.array(block).safeParse(blocks);
  if (!read.success) return "invalid_blocks";
  const notified = readMrkdwn(text, { isVerbatim: true, isFormatted: mrkdwn });
  const named = parsed.data.link_names || parsed.data.parse === "full";
  if (named) notified.mentions.push(...(text.match(/[@#]\w+/g) ?? []));
  return {
    shown: read.data.length === 0 ? notified : below(read.data.flatMap(readBlock)),
    notified,
    mayUnfurl: parsed.data.unfurl_links || parsed.data.unfurl_media,
  };
}

function readBlock(of: z.infer<typeof block>): Shown[] {
  switch (of.type) {
    case "section":
      return [...(of.text === undefined ? [] : [of.text]), ...(of.fields ?? [])].map(readText);
    case "header":
      return [readText(of.text)];
    case "context":
      return of.elements.map(readText);
    case "divider":
      return [];
  }
}

function readText(text: z.infer<ReturnType<typeof textOf>>): Shown {
  return text.type === "plain_text"
    ? readPlainText(text.text, { hasEmoji: text.emoji })
    : readMrkdwn(text.text, { isVerbatim: text.verbatim, isFormatted: true });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
