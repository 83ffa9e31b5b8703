import http from "node:http";
import { z } from "zod";
import { readMarkdown } from "./discord-markup.ts";
import { below, type Shown } from "./shown.ts";

/** A message that Discord took. */
export type DiscordPosted = {
  shown: Shown;
  /** Those of the mentions in `content` whom `allowed_mentions` lets be called; an embed's call nobody. */
  called: string[];
  colors: number[];
  timestamps: string[];
};

type Failure = { status: number; body: object; headers: { [name: string]: string } };

export type DiscordStandIn = {
  /** A webhook's address, without `?wait=true`. */
  url: string;
  posted: DiscordPosted[];
  /** What was answered to each request, the oldest first. */
  answers: { status: number; body: unknown }[];
  /** What stood behind `?` in the address of each request. */
  queries: { [name: string]: string }[];
  /** From now on the webhook is gone (404, 10015) or its token is not known (401, 50027); null: neither. */
  end(ending: "unknown" | "token" | null): void;
  /** The next request is answered so, and does nothing. */
  failNext(failure: Failure): void;
  /** The next request is told to come again in so many seconds. */
  limitNext(retryAfter: number, options?: { isGlobal: boolean }): void;
  close(): Promise<void>;
};

export type DiscordOptions = {
  /** Refuses more than five messages in two seconds. */
  isLimited?: boolean;
  /** Milliseconds. */
  now?: () => number;
};

const PATH = "/api/webhooks/1000000000000000001/token-of-the-webhook";
const LIMITED = { messages: 5, ms: 2_000 };
const MAX_EMBEDS_CHARS = 6_000;

const field = z.object({
  name: z.string().min(1).max(256),
  value: z.string().min(1).max(1_024),
  inline: z.boolean().optional(),
});

const embed = z.object({
  title: z.string().max(256).default(""),
  description: z.string().max(4_096).default(""),
  url: z.url().optional(),
  color: z.int().min(0).max(0xff_ff_ff).optional(),
  timestamp: z.iso.datetime().optional(),
  footer: z.object({ text: z.string().max(2_048) }).optional(),
  author: z.object({ name: z.string().max(256) }).optional(),
  fields: z.array(field).max(25).default([]),
});

const payload = z.object({
  content: z.string().max(2_000).default(""),
  username: z.string().min(1).max(80).optional(),
  allowed_mentions: z
    .object({ parse: z.array(z.enum(["everyone", "users", "roles"])).default([]) })
    .optional(),
  embeds: z.array(embed).max(10).default([]),
});

type Payload = z.infer<typeof payload>;

/** A Discord on loopback with one webhook, which behaves as protocols 6.3 say. Close it in `afterAll`. */
export async function startDiscord({
  isLimited = false,
  now = Date.now,
}: DiscordOptions = {}): Promise<DiscordStandIn> {
  const posted: DiscordPosted[] = [];
  const answers: DiscordStandIn["answers"] = [];
  const queries: DiscordStandIn["queries"] = [];
  const failures: Failure[] = [];
  let ending: "unknown" | "token" | null = null;
  let times: number[] = [];

  function limit(): Failure | null {
    const at = now();
    times = times.filter((time) => time > at - LIMITED.ms);
    if (times.length >= LIMITED.messages)
      return rateLimited(((times[0] ?? at) + LIMITED.ms - at) / 1_000, false);
    times.push(at);
    return null;
  }

  // What is left of the limit, and in how many seconds all of it is there again.
  function allowance(): Failure["headers"] {
    const resetMs = (times[0] ?? now()) + LIMITED.ms - now();
    return {
      "X-RateLimit-Limit": String(LIMITED.messages),
      "X-RateLimit-Remaining": String(LIMITED.messages - times.length),
      "X-RateLimit-Reset-After": String(Math.max(0, resetMs) / 1_000),
    };
  }

  function answer(url: URL, body: string): Failure {
    const failure = failures.shift() ?? endingOf(url, ending) ?? (isLimited ? limit() : null);
    if (failure !== null) return failure;
    const read = readMessage(body);
    const hasWaited = url.searchParams.get("wait") === "true";
    if (!("posted" in read)) return hasWaited ? { status: 400, body: read, headers: {} } : NOTHING;
    posted.push(read.posted);
    return hasWaited ? { status: 200, body: { id: String(posted.length), type: 0 }, headers: {} } : NOTHING;
  }

  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    const url = new URL(request.url ?? "", "http://discord.invalid");
    queries.push(Object.fromEntries(url.searchParams));
    const { status, body, headers } = answer(url, Buffer.concat(chunks).toString("utf8"));
    answers.push({ status, body });
    const told = isLimited && status < 400 ? allowance() : {};
    response.writeHead(status, { "Content-Type": "application/json", ...told, ...headers });
    response.end(status === 204 ? undefined : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a server on a port has an address");

  return {
    url: `http://127.0.0.1:${address.port}${PATH}`,
    posted,
    answers,
    queries,
    end: (next) => {
      ending = next;
    },
    failNext: (failure) => void failures.push(failure),
    limitNext: (retryAfter, { isGlobal } = { isGlobal: false }) =>
      void failures.push(rateLimited(retryAfter, isGlobal)),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const NOTHING: Failure = { status: 204, body: {}, headers: {} };

function endingOf(url: URL, ending: "unknown" | "token" | null): Failure | null {
  if (url.pathname !== PATH || ending === "unknown")
    return { status: 404, body: { message: "Unknown Webhook", code: 10015 }, headers: {} };
  return ending === "token"
    ? { status: 401, body: { message: "Invalid Webhook Token", code: 50027 }, headers: {} }
    : null;
}

/** @param retryAfter seconds; the header has whole ones, the body what is exact */
function rateLimited(retryAfter: number, isGlobal: boolean): Failure {
  const body = { message: "You are being rate limited.", retry_after: retryAfter, global: isGlobal };
  const headers = {
    "Retry-After": String(Math.ceil(retryAfter)),
    "X-RateLimit-Scope": isGlobal ? "global" : "user",
  };
  return { status: 429, body, headers };
}

/** @returns the error as Discord puts it, or the message */
export function readMessage(body: string): { posted: DiscordPosted } | { code: number; message: string } {
  const json = parseJson(body);
  if (json === undefined) return { code: 50109, message: "The request body contains invalid JSON." };
  const parsed = payload.safeParse(json);
  if (!parsed.success) return invalid(parsed.error.issues.map(problemOf));
  const { content, embeds } = parsed.data;
  if (content === "" && embeds.length === 0) return { code: 50006, message: "Cannot send an empty message" };
  if (embeds.reduce((sum, one) => sum + lengthOf(one), 0) > MAX_EMBEDS_CHARS) {
    const message = `Embed size exceeds maximum size of ${MAX_EMBEDS_CHARS}`;
    return invalid([{ path: ["embeds"], code: "MAX_EMBED_SIZE_EXCEEDED", message }]);
  }
  return { posted: read(parsed.data) };
}

function read({ content, embeds, allowed_mentions: allowed }: Payload): DiscordPosted {
  const said = readMarkdown(content);
  const texts = embeds.flatMap(({ title, description, fields }) => [
    title,
    description,
    ...fields.flatMap(({ name, value }) => [name, value]),
  ]);
  const plain = embeds.flatMap(({ footer, author }) => [footer?.text ?? "", author?.name ?? ""]);
  return {
    shown: below([said, ...texts.map(readMarkdown), ...plain.map((text) => ({ ...readMarkdown(""), text }))]),
    called: allowed === undefined || allowed.parse.length > 0 ? said.mentions : [],
    colors: embeds.flatMap(({ color }) => color ?? []),
    timestamps: embeds.flatMap(({ timestamp }) => timestamp ?? []),
  };
}

function lengthOf({ title, description, footer, author, fields }: Payload["embeds"][number]): number {
  const ofFields = fields.flatMap(({ name, value }) => [name, value]);
  return [title, description, footer?.text ?? "", author?.name ?? "", ...ofFields].join("").length;
}

type Problem = { path: PropertyKey[]; code: string; message: string };

function problemOf(issue: z.core.$ZodIssue): Problem {
  if (issue.code === "too_big")
    return {
      path: issue.path,
      code: "BASE_TYPE_MAX_LENGTH",
      message: `Must be ${issue.maximum} or fewer in length.`,
    };
  if (issue.code === "too_small")
    return { path: issue.path, code: "BASE_TYPE_REQUIRED", message: "This field is required" };
  return { path: issue.path, code: "BASE_TYPE_INVALID", message: issue.message };
}

/** Names each field where it stands: `errors.embeds.0.title._errors`. */
function invalid(problems: readonly Problem[]) {
  type Errors = { [name: string]: Errors | object[] };
  const errors: Errors = {};
  for (const { path, ...error } of problems) {
    let at = errors;
    for (const name of path.map(String)) {
      const inner = at[name];
      const next: Errors = inner === undefined || Array.isArray(inner) ? {} : inner;
      at[name] = next;
      at = next;
    }
    const known = at._errors;
    at._errors = [...(Array.isArray(known) ? known : []), error];
  }
  return { code: 50035, message: "Invalid Form Body", errors };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
