import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "kysely";
import { type ChatBench, createChatBench } from "../../test/support/chat-bench.ts";
import { listAttempts } from "../../test/support/delivering.ts";
import { until } from "../../test/support/installation.ts";
import { type Behaviour, ok, type Sink, startSink, status } from "../../test/support/sink.ts";
import type { ChatType } from "./told.ts";

const SECRET = "aVeryLongTokenThatNobodyMayRead-0123456789";
const PATHS: Record<ChatType, string> = {
  slack: `/services/T00000000/B00000000/${SECRET}`,
  discord: `/api/webhooks/1000000000000000001/${SECRET}`,
};

/** Ways in which a request ends; some repeat its address. */
const ENDS: readonly Behaviour[] = [
  ok,
  status(500),
  (response, { path }) => void response.writeHead(500).end(`Cannot POST ${path}`),
  (response, { path }) => void response.writeHead(308, { Location: `https://discord.com${path}` }).end(),
  (response) => void response.destroy(),
  (response) => void response.socket?.end("SSH-2.0-OpenSSH\r\n"),
  // The last: it disables the endpoint.
  (response, { path }) =>
    void response.writeHead(404).end(JSON.stringify({ message: `no ${path}`, code: 10015 })),
];

let bench: ChatBench;
let sink: Sink;
/** All that the API answered. */
const answers: string[] = [];

beforeAll(async () => {
  bench = await createChatBench();
  sink = await startSink();
});
afterAll(async () => {
  await bench.close();
  await sink.close();
});

async function call(method: string, path: string, body?: object) {
  const answer = await bench.call(method, `/api/v1${path}`, body);
  answers.push(answer.text);
  return answer;
}

test.each(["slack", "discord"] as const)(
  "the address of a %s endpoint is in no answer, log line, metric, event or table, however requests to it end",
  async (type) => {
    const customerId = await bench.newCustomer();
    sink.received.length = 0;
    answers.length = 0;
    const asked = type === "discord" ? `${PATHS[type]}?wait=true` : PATHS[type];
    const settings = { eventTypes: ["unsubscribed"], ratePerSecond: null, digestSeconds: null };
    const { body } = await call("POST", "/webhooks/endpoints", {
      type,
      url: sink.url(PATHS[type]),
      ...settings,
    });
    const id = String(body.id);
    await bench.endpoint("custom", sink.url("/told"), { eventTypes: ["endpoint_disabled"] });
    const isEnded = async (count: number) => {
      const made = await listAttempts(bench.db, customerId);
      return made.filter((each) => each.isFinished).length === count;
    };
    bench.start();
    for (const [index, behaviour] of ENDS.entries()) {
      sink.at(asked, behaviour);
      expect((await call("POST", `/webhooks/endpoints/${id}/test`, {})).status).toBe(200);
      await bench.happen("unsubscribed");
      await until(() => isEnded(2 * (index + 1)));
      await sql`update webhook_health set open_until = null, slowed_until = null`.execute(bench.db);
    }
    await until(async () => (await call("GET", `/webhooks/endpoints/${id}`)).body.status === "disabled");
    await bench.happen("message_sent");
    await until(async () => sink.received.some(({ path }) => path === "/told"));
    await bench.stop();
    await askForEverything(id);

    expect(excerpts(answers.join("\n"))).toEqual([]);
    expect(excerpts(bench.logged())).toEqual([]);
    const others = sink.received.filter(({ path }) => path !== asked);
    expect(excerpts(JSON.stringify(others))).toEqual([]);
    expect(await tablesWithSecret()).toEqual([]);
    expect(answers.join("\n")).toContain('--url \\"$WEBHOOK_URL\\"');
  },
  60_000,
);

/** Every page on which an endpoint, what was owed to it, or what came of that is shown. */
async function askForEverything(id: string): Promise<void> {
  const idsOf = async (path: string): Promise<string[]> => {
    const items = (await call("GET", path)).body.items;
    return Array.isArray(items) ? items.map((item) => String(item.id)) : [];
  };
  const deliveries = await idsOf("/webhooks/deliveries?limit=100");
  for (const delivery of deliveries) {
    await call("GET", `/webhooks/deliveries/${delivery}`);
    await call("GET", `/webhooks/deliveries/${delivery}/attempts`);
  }
  for (const event of await idsOf("/events")) {
    await call("GET", `/events/${event}`);
    await call("GET", `/events/${event}/deliveries`);
  }
  for (const path of ["", `/${id}`, `/${id}/stats`, `/${id}/secrets`])
    await call("GET", `/webhooks/endpoints${path}`);
  await call("GET", "/audit-log");
  await call("PATCH", `/webhooks/endpoints/${id}`, { description: "changed" });
  await call("POST", `/webhooks/endpoints/${id}/enable`);
  answers.push((await bench.call("GET", "/metrics")).text);
  expect(deliveries.length).toBeGreaterThanOrEqual(2 * ENDS.length);
}

test("an address that is refused is not repeated", async () => {
  await bench.newCustomer();
  const refused = [
    `https://hooks.slack.com:444/services/T0/B0/${SECRET}`,
    `https://nowhere.invalid/services/T0/B0/${SECRET}`,
    `http://10.0.0.1/services/T0/B0/${SECRET}`,
    `https://user:${SECRET}@discord.com/api/webhooks/1/x`,
    `ftp://discord.com/${SECRET}`,
    `no address at all ${SECRET}`,
  ];
  for (const url of refused) {
    for (const type of ["slack", "discord"]) {
      const answer = await call("POST", "/webhooks/endpoints", { type, url });
      expect(answer.status).toBe(400);
      expect(excerpts(answer.text)).toEqual([]);
    }
  }
  expect(excerpts(bench.logged())).toEqual([]);
});

/** Where it stands, with what is before it. */
function excerpts(text: string): string[] {
  return text
    .split(SECRET)
    .slice(0, -1)
    .map((before) => before.slice(-200));
}

async function tablesWithSecret(): Promise<string[]> {
  const tables = await sql<{ name: string }>`
    select tablename as name from pg_tables where schemaname = 'public'`.execute(bench.db);
  const found: string[] = [];
  const hex = Buffer.from(SECRET).toString("hex");
  for (const { name } of tables.rows) {
    const { rows } = await sql<{ found: boolean }>`
      select exists (select from ${sql.table(name)} as t
        where t::text like ${`%${SECRET}%`} or t::text like ${`%${hex}%`}) as found`.execute(bench.db);
    if (rows[0]?.found === true) found.push(name);
  }
  return found;
}
