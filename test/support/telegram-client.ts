import path from "node:path";
import { findPort } from "../../src/http/server.ts";
import type { EdgrProcess } from "./edgr-process.ts";
import type { Installation } from "./installation.ts";
import type { TelegramStandIn } from "./telegram.ts";

/** The API of an EDGR that runs as a process of its own. */
export type OpenApi = {
  /** What it answers. `body`: parsed. */
  call(method: string, route: string, body?: object): Promise<{ status: number; body: Body }>;
  /** The same, when it is a 2xx. */
  ok(method: string, route: string, body?: object): Promise<Body>;
};

/** Parsed JSON; a test says what it expects of it. */
type Body = Awaited<ReturnType<Response["json"]>>;

/** @param route below /api/v1 */
export function openApi(url: string, apiKey: string): OpenApi {
  async function call(method: string, route: string, body?: object) {
    const response = await fetch(`${url}/api/v1${route}`, {
      method,
      headers: { Authorization: `Bearer ${apiKey}`, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? null : JSON.parse(text) };
  }

  return {
    call,
    async ok(method, route, body) {
      const answer = await call(method, route, body);
      if (answer.status >= 300)
        throw new Error(`${method} ${route}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer.body;
    },
  };
}

export type BotEdgr = {
  api: OpenApi;
  credentialId: string;
  /** Of the process and of whatever takes its place. */
  env: Record<string, string>;
  /** Where Telegram delivers, and what it proves itself with. */
  webhook: { url: string; secret: string };
};

/** An EDGR, as a process, that Telegram is at `telegram` for and that this bot is connected to. */
export async function connectBot(
  installation: Installation,
  telegram: TelegramStandIn,
  { name, databaseUrl, botToken }: { name: string; databaseUrl: string; botToken: string },
): Promise<BotEdgr & { edgr: EdgrProcess }> {
  const env = {
    EDGR_DATA_DIR: path.join(installation.root, name),
    TMPDIR: installation.root,
    DATABASE_URL: databaseUrl,
    EDGR_API_KEY: "a-key-for-an-end-to-end-test",
    EDGR_TELEGRAM_API_ROOT: telegram.apiRoot,
    PORT: String(await findPort({ host: "127.0.0.1", port: 0 })),
  };
  const edgr = await installation.start({ env });
  const api = openApi(edgr.url, env.EDGR_API_KEY);
  const given = { type: "telegram", name: "Bot", botToken, rateLimitPerSecond: 1_000 };
  const { id: credentialId } = await api.ok("POST", "/credentials", given);
  const webhook = telegram.webhookOf(botToken);
  if (webhook === null) throw new Error("a bot that is connected has a webhook");
  return { api, credentialId, env, webhook, edgr };
}
