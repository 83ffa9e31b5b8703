import { afterAll, beforeAll, expect, test } from "bun:test";
import { setTimeout as delay } from "node:timers/promises";
import { sql } from "kysely";
import { type Db, openDatabase } from "../../src/storage/pool.ts";
import { createDatabase, TEMPLATE } from "../support/database.ts";
import { until, useInstallation } from "../support/installation.ts";
import { startTelegram, type TelegramStandIn } from "../support/telegram.ts";
import { connectBot, type OpenApi } from "../support/telegram-client.ts";
import {
  CAMPAIGN_NUMBERS,
  type Crowd,
  type CrowdUpdate,
  gatherCrowd,
  seeded,
} from "../support/telegram-crowd.ts";

const SEED = Number(process.env.EDGR_TEST_SEED ?? Math.floor(Math.random() * 1e9));
const UPDATES = 10_000;
/** All of it is past, each a second after the other. */
const BEGIN = Math.floor(Date.now() / 1_000) - 2 * UPDATES;
/** Half a minute is usual; on two busy cores it has taken 100 s. */
const TEST_MS = 300_000;
const DUPLICATES = 0.15;
const KILLS = 5;
const AT_ONCE = 32;
const BOT_ID = 7_100_000_007;
/** The first so many people are contacts who have a link and no chat, the next are contacts with their chats. */
const INVITED = 60;
const KNOWN = 100;
const KNOWN_GROUPS = 8;
const CAMPAIGN_ID = "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a24";

const installation = useInstallation();
let telegram: TelegramStandIn;

beforeAll(async () => {
  telegram = await startTelegram({ isLocal: true });
});
afterAll(() => telegram.close());

test(
  "10,000 updates in any order, some twice, to an EDGR that is killed again and again end in the same conversations",
  async () => {
    const isWrittenTo = (place: number) => place >= INVITED && place < INVITED + KNOWN;
    const size = { updates: UPDATES, people: 300, groups: 12, begin: BEGIN };
    const crowd = gatherCrowd({ ...size, seed: SEED, isWrittenTo });
    const random = seeded(SEED + 1);
    try {
      const straight = await open("straight", crowd);
      await postInOrder(straight, crowd);
      const expected = await readEnd(straight);
      await straight.close();

      const mixed = await open("mixed", crowd);
      const killed = await postMixed(mixed, crowd, random);
      expect(killed).toBeGreaterThan(1);
      expect(await readEnd(mixed)).toEqual(expected);
      await mixed.close();
    } catch (error) {
      console.error(`EDGR_TEST_SEED=${SEED} does it again`);
      throw error;
    }
  },
  TEST_MS,
);

/** An EDGR on a database of its own, with a bot, and with contacts of some of the people and groups. */
type Scene = {
  db: Db;
  /** @returns whether it was taken, as Telegram sees it */
  post(body: string): Promise<boolean>;
  /** Resolves when it runs. */
  running(): Promise<unknown>;
  /** Kills EDGR and starts it again, for which everybody waits. */
  restart(): Promise<unknown>;
  close(): Promise<void>;
};

async function open(name: string, crowd: Crowd): Promise<Scene> {
  const databaseUrl = await createDatabase(TEMPLATE);
  const botToken = telegram.addBot({ id: BOT_ID, username: "crowd_bot", name: "Crowd" });
  const { api, credentialId, env, webhook, edgr } = await connectBot(installation, telegram, {
    name,
    databaseUrl,
    botToken,
  });
  let running = Promise.resolve(edgr);
  const { db, close } = openDatabase(databaseUrl, 2);
  const links = await addContacts(api, crowd);
  await sendCampaign(db, credentialId);

  return {
    db,
    async post(body) {
      await running;
      const linked = body.replace(/\{\{link:(\d+)\}\}/, (_, place) => links[place] ?? "nobody");
      const headers = {
        "Content-Type": "application/json",
        "X-Telegram-Bot-Api-Secret-Token": webhook.secret,
      };
      const response = await fetch(webhook.url, { method: "POST", headers, body: linked }).catch(() => null);
      await response?.text().catch(() => null);
      return response?.ok === true;
    },
    running: () => running.then(() => delay(1)),
    restart() {
      running = running.then(async ({ child, ended }) => {
        child.kill("SIGKILL");
        await ended;
        return installation.start({ env });
      });
      return running;
    },
    async close() {
      const { child, ended } = await running;
      child.kill("SIGTERM");
      await ended;
      await close();
    },
  };
}

/** @returns what follows `?start=` in the links of people, by place */
async function addContacts(api: OpenApi, { people, groups }: Crowd): Promise<string[]> {
  for (const chatId of groups.slice(0, KNOWN_GROUPS))
    await api.ok("POST", "/contacts", { telegramChatId: chatId });
  const links: string[] = [];
  for (const [place, chatId] of people.slice(0, INVITED + KNOWN).entries()) {
    const chat = place < INVITED ? {} : { telegramChatId: chatId };
    const contact = await api.ok("POST", "/contacts", { email: `p${place}@example.com`, ...chat });
    const { items } = await api.ok("GET", `/contacts/${contact.id}/telegram-link`);
    links.push(new URL(items[0].url).searchParams.get("start") ?? "");
  }
  return links;
}

/** Those who are known have been sent two messages, the second in the middle of everything. */
async function sendCampaign(db: Db, credentialId: string): Promise<void> {
  const [first, second] = CAMPAIGN_NUMBERS;
  const sent = [
    { number: first, at: BEGIN - 600 },
    { number: second, at: BEGIN + UPDATES / 2 },
  ];
  await sql`
    with sent as materialized (
      select c.customer_id, new_id() as id, c.id as contact_id, c.telegram_chat_id as chat_id, s.number,
        to_timestamp(s.at) as at
      from contact c, jsonb_to_recordset(${JSON.stringify(sent)}::jsonb) as s(number bigint, at bigint)
      where c.telegram_chat_id > 0
    ), message_row as (
      insert into message (customer_id, id, direction, channel, campaign_id, run_id, contact_id, credential_id,
        to_address, status, sent_at)
      select customer_id, id, 'outbound', 'telegram', ${CAMPAIGN_ID}::uuid, new_id(), contact_id,
        ${credentialId}::uuid, chat_id::text, 'sent', at
      from sent
    )
    insert into outbound_telegram (customer_id, message_id, credential_id, chat_id, telegram_message_id, html, keyboard,
      sent_at)
    select customer_id, id, ${credentialId}::uuid, chat_id, number, '', '[]', at from sent`.execute(db);
}

/** Chats side by side, in each of them one update after the other. */
async function postInOrder(scene: Scene, { updates }: Crowd): Promise<void> {
  const lanes = Array.from({ length: AT_ONCE }, (_, number) =>
    updates.filter(({ lane }) => lane % AT_ONCE === number),
  );
  await Promise.all(
    lanes.map(async (lane) => {
      for (const { body } of lane) if (!(await scene.post(body))) throw new Error(`not taken: ${body}`);
    }),
  );
}

/** @returns how often EDGR was killed meanwhile */
async function postMixed(scene: Scene, { updates }: Crowd, random: () => number): Promise<number> {
  const twice = updates.filter(() => random() < DUPLICATES);
  const waiting = shuffle([...updates, ...twice], random);
  const putBack = (update: CrowdUpdate) => waiting.splice(Math.floor(random() * waiting.length), 0, update);
  const line = createLine(waiting);
  const kills = new Set(Array.from({ length: KILLS }, () => Math.floor(random() * waiting.length)));
  const restarts: Promise<unknown>[] = [];
  const post = async () => {
    for (let update = waiting.pop(); update !== undefined; update = waiting.pop()) {
      // The others are in the midst of it.
      if (kills.delete(waiting.length)) restarts.push(scene.restart());
      if (!line.mayPass(update)) {
        putBack(update);
        await scene.running();
      } else if (await scene.post(update.body)) line.passed(update);
      else putBack(update);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, post));
  return (await Promise.all(restarts)).length;
}

/** Lets nothing pass that others have to pass before. */
function createLine(updates: readonly CrowdUpdate[]) {
  const nameOf = ({ lane, phase }: { lane: number; phase: number }) => `${lane} ${phase}`;
  const left = new Map<string, number>();
  for (const update of updates) left.set(nameOf(update), (left.get(nameOf(update)) ?? 0) + 1);
  return {
    mayPass: ({ lane, phase }: CrowdUpdate) =>
      Array.from({ length: phase }).every(
        (_, earlier) => (left.get(nameOf({ lane, phase: earlier })) ?? 0) === 0,
      ),
    passed: (update: CrowdUpdate) => left.set(nameOf(update), (left.get(nameOf(update)) ?? 0) - 1),
  };
}

function shuffle<Item>(items: Item[], random: () => number): Item[] {
  const placed = items.map((item) => ({ item, place: random() }));
  return placed.sort((one, other) => one.place - other.place).map(({ item }) => item);
}

/** What there is to see when nothing is left to do, by what Telegram calls it, without the ids that are new each time. */
async function readEnd({ db }: Scene) {
  await settle(db);
  const read = async (query: ReturnType<typeof sql<Row>>) => {
    const { rows } = await query.execute(db);
    return rows.map((row) => JSON.stringify(row).replace(/\/start [A-Za-z0-9_-]{44}/g, "/start link")).sort();
  };
  // A contact whose chat went over to another one is only there where the chat wrote before it said who it is.
  const name = sql`coalesce(c.email, c.telegram_chat_id::text)`;
  return {
    contacts: await read(sql<Row>`
      select email, telegram_chat_id, attributes, made_by_chat from contact
      where email is not null or telegram_chat_id is not null`),
    messages: await read(sql<Row>`
      select ${name} as contact, t.chat_id, t.telegram_message_id, t.kind, t.from_id, t.text, t.html, t.entities,
        t.media, t.reply_to_message_id, t.media_group_id, t.edited_at, t.matched_by, m.status, m.sent_at,
        m.campaign_id, o.telegram_message_id as answers
      from inbound_telegram t
      join message m on m.customer_id = t.customer_id and m.id = t.message_id
      join contact c on c.customer_id = m.customer_id and c.id = m.contact_id
      left join outbound_telegram o on o.customer_id = t.customer_id and o.message_id = t.answers_message_id`),
    reactions: await read(sql<Row>`
      select coalesce(i.chat_id, o.chat_id) as chat_id,
        coalesce(i.telegram_message_id, o.telegram_message_id) as telegram_message_id, r.from_id, r.reactions, r.at,
        r.update_id
      from telegram_reaction r
      left join inbound_telegram i on i.customer_id = r.customer_id and i.message_id = r.message_id
      left join outbound_telegram o on o.customer_id = r.customer_id and o.message_id = r.message_id`),
    // The photos of an album are of one second, and any of them is the last.
    conversations: await read(sql<Row>`
      select ${name} as contact, v.status, v.unread, v.last_message_at, v.last_direction, v.last_channel,
        t.chat_id, case when t.media_group_id is null then t.telegram_message_id end as telegram_message_id
      from conversation v
      join contact c on c.customer_id = v.customer_id and c.id = v.contact_id
      left join inbound_telegram t on t.customer_id = v.customer_id and t.message_id = v.last_message_id`),
    suppressions: await read(sql<Row>`select channel, address, reason from suppression`),
    events: await read(sql<Row>`
      select type, count(*) as count from event_log where type not like 'credential%' group by type`),
    kept: await read(sql<Row>`
      select name, status, reason, envelope_id from inbound_event where status <> 'matched'`),
  };
}

type Row = { [column: string]: unknown };

/** Until what waits for its message has found it, and all that was appended is projected. */
async function settle(db: Db): Promise<void> {
  await sql`update inbound_event set look_at = now() where look_at is not null`.execute(db);
  const isDone = async () => {
    const { rows } = await sql<{ done: boolean }>`
      select not exists (select from inbound_event where status = 'waiting')
        and (select max(position) from event_log) <= (select position from projector_cursor where name = 'projector')
        as done`.execute(db);
    return rows[0]?.done === true;
  };
  await until(isDone);
}
