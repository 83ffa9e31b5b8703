import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { sql } from "kysely";
import { CHAT_PUBLIC_URL, type ChatBench, createChatBench } from "../../test/support/chat-bench.ts";
import { passPauses, passWaits } from "../../test/support/delivering.ts";
import { type DiscordStandIn, startDiscord } from "../../test/support/discord.ts";
import { HOSTILE, hostileText } from "../../test/support/hostile.ts";
import { until } from "../../test/support/installation.ts";
import type { Shown } from "../../test/support/shown.ts";
import { type Sink, startSink } from "../../test/support/sink.ts";
import { type SlackStandIn, startSlack } from "../../test/support/slack.ts";
import type { Event } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { storableText } from "../events/storable.ts";
import { CATALOGUE_TYPES } from "./catalogue-types.ts";
import { VOICES } from "./format/voices.ts";

let bench: ChatBench;
let customerId: string;
let slack: SlackStandIn;
let discord: DiscordStandIn;
let sink: Sink;

beforeAll(async () => {
  bench = await createChatBench();
});
afterAll(() => bench.close());

beforeEach(async () => {
  [slack, discord, sink] = await Promise.all([startSlack(), startDiscord(), startSink()]);
  customerId = await bench.newCustomer();
  bench.start();
});
afterEach(async () => {
  await bench.stop();
  // What is left over is nothing to the next test's workers.
  await sql`update webhook_endpoint set status = 'disabled', disabled_by = 'person'`.execute(bench.db);
  await sql`delete from webhook_digest`.execute(bench.db);
  await Promise.all([slack.close(), discord.close(), sink.close()]);
});

async function newCampaign(name: string): Promise<string> {
  const id = newId();
  await sql`
    insert into campaign (customer_id, id, name, nodes, edges)
    values (${customerId}, ${id}, ${storableText(name)}, '[]', '[]')`.execute(bench.db);
  return id;
}

/** Both chats, told of everything; what they gather is as by default, unless `settings` say otherwise. */
async function tellChats(settings: object = {}): Promise<string[]> {
  return [
    await bench.endpoint("slack", slack.url, settings),
    await bench.endpoint("discord", discord.url, settings),
  ];
}

describe("whatever a contact or an author wrote", () => {
  /** Every name of an event's data that any sentence or detail shows. */
  const keys = [
    ...new Set(
      Object.values(VOICES).flatMap(({ sentence, details }) => [
        ...[...sentence.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name),
        ...details.map(([, key]) => key),
      ]),
    ),
  ];

  type Wrote = { text: string; contactId: string; campaignId: string };

  /** A contact and a campaign that have it in every field. */
  async function write(text: string): Promise<Wrote> {
    const contactId = newId();
    const kept = storableText(text);
    const attributes = JSON.stringify({ name: kept, firstName: kept, lastName: kept });
    await sql`
      insert into contact (customer_id, id, email, attributes)
      values (${customerId}, ${contactId}, ${`${kept.slice(0, 200)}${contactId}`}, ${attributes}::jsonb)`.execute(
      bench.db,
    );
    return { text: kept, contactId, campaignId: await newCampaign(text) };
  }

  const eventsOf = ({ text, contactId, campaignId }: Wrote): Partial<Event>[] =>
    CATALOGUE_TYPES.map((type) => ({
      type,
      contactId,
      campaignId,
      userAgent: text,
      data: Object.fromEntries(keys.map((key) => [key, text])),
    }));

  const linksOf = ({ contactId, campaignId }: Wrote) => [
    { label: "Contact", url: `${CHAT_PUBLIC_URL}/contacts/${contactId}` },
    { label: "Campaign", url: `${CHAT_PUBLIC_URL}/campaigns/${campaignId}` },
  ];

  test("is text in every message of both chats, which take them all; the only links are ours", async () => {
    await tellChats();
    const texts = [...HOSTILE, ...fc.sample(hostileText, 12)];
    const written = await Promise.all(texts.map(write));
    await bench.happenAll(written.flatMap(eventsOf));
    await bench.allAre("delivered");
    const expected = written.flatMap((wrote) => CATALOGUE_TYPES.map(() => linksOf(wrote)));
    for (const messages of [slack.posted, discord.posted].map((posted) => posted.map(({ shown }) => shown))) {
      expect(messages.map(({ links }) => JSON.stringify(links)).toSorted()).toEqual(
        expected.map((links) => JSON.stringify(links)).toSorted(),
      );
      for (const message of messages) expectHarmless(message);
      for (const wrote of written) expectToBeRead(wrote, messages);
    }
    for (const { notified, mayUnfurl } of slack.posted) {
      expectHarmless(notified);
      expect([notified.links, mayUnfurl]).toEqual([[], false]);
    }
    expect(discord.posted.flatMap(({ called }) => called)).toEqual([]);
  }, 120_000);

  // Nobody is called and nothing looks other than text.
  function expectHarmless({ mentions, formats, text }: Shown): void {
    expect({ mentions, formats }).toEqual({ mentions: [], formats: [] });
    expect(text).not.toMatch(/[\u202A-\u202E\u2066-\u2069]/);
  }

  // Where it is one short line it stands in the message as it was written.
  function expectToBeRead({ text, contactId }: Wrote, messages: readonly Shown[]): void {
    if (!/^[!-~]([ -~]{0,70}[!-~])?$/.test(text)) return;
    const about = messages.filter(({ links }) => links[0]?.url.endsWith(contactId) === true);
    expect(about).toHaveLength(CATALOGUE_TYPES.length);
    for (const message of about) expect(message.text).toContain(text);
  }

  test("makes no line of its own, but in what is quoted of it", async () => {
    await tellChats({ digestSeconds: null, eventTypes: ["unsubscribed", "email_clicked", "message_sent"] });
    const written = await Promise.all(HOSTILE.map(write));
    await bench.happenAll(written.flatMap(eventsOf));
    await bench.allAre("delivered");
    const linesOf = ({ shown }: { shown: Shown }) =>
      shown.text.split(/[\n\r\u2028\u2029]/).filter((line) => line !== "").length;
    // The sentence, and the time with the links; the title, the sentence, and the links with what they are.
    expect([...new Set(slack.posted.map(linesOf))]).toEqual([2]);
    expect([...new Set(discord.posted.map(linesOf))]).toEqual([4]);
  }, 60_000);

  test("stays text where it names what is counted", async () => {
    await tellChats({ digestSeconds: 300 });
    const names = HOSTILE.slice(0, 8);
    const campaigns = await Promise.all(names.map(newCampaign));
    await bench.happenAll(campaigns.map((campaignId) => ({ type: "email_opened", campaignId })));
    await passInterval();
    await until(async () => slack.posted.length === 1 && discord.posted.length === 1);
    for (const { shown } of [...slack.posted, ...discord.posted]) {
      expectHarmless(shown);
      const ours = campaigns.map((id) => ({ label: "Campaign", url: `${CHAT_PUBLIC_URL}/campaigns/${id}` }));
      expect(new Set(shown.links)).toEqual(new Set(ours));
      for (const name of names) expect(shown.text).toContain(name);
    }
  });
});

/** As if the intervals of all digests were over. */
async function passInterval(): Promise<void> {
  await sql`update webhook_digest set opened_at = opened_at - interval '1 hour'`.execute(bench.db);
  bench.wake();
}

const opens = (count: number, campaignId: string): Partial<Event>[] =>
  Array.from({ length: count }, () => ({ type: "email_opened", campaignId }));

type Posted = { shown: Shown }[];

/** The messages about bounces, and what digests say was opened in each campaign, all of them together. */
function summed(posted: Posted): { bounces: number; opened: { [campaign: string]: number } } {
  const texts = posted.map(({ shown }) => shown.text);
  const opened: { [campaign: string]: number } = {};
  for (const text of texts) {
    const counts = text.matchAll(/^(.*)\n(?:• )?Email opened: ([\d,]+)/gm);
    for (const [, campaign = "", count = ""] of counts)
      opened[campaign] = (opened[campaign] ?? 0) + Number(count.replaceAll(",", ""));
  }
  return { bounces: texts.filter((text) => text.includes("bounced")).length, opened };
}

describe("what comes by the thousand", () => {
  test("is one message an interval, with right counts, also when EDGR was restarted in between; the bad news come at once", async () => {
    await tellChats({ digestSeconds: 300 });
    const [welcome, news] = [await newCampaign("Welcome"), await newCampaign("News")];
    await bench.happenAll([...opens(700, welcome), ...opens(300, news)]);
    await bench.happen("message_bounced", { campaignId: welcome, data: { bounceType: "Permanent" } });
    await bench.happen("message_complained", { campaignId: news });
    const chats = () => [slack.posted, discord.posted];
    await until(async () => chats().every((posted) => posted.length === 2));
    for (const posted of chats()) expect(summed(posted)).toEqual({ bounces: 1, opened: {} });
    await passInterval();
    await until(async () => chats().every((posted) => posted.length === 3));
    for (const posted of chats())
      expect(summed(posted)).toEqual({ bounces: 1, opened: { Welcome: 700, News: 300 } });

    await bench.happenAll(opens(600, welcome));
    await bench.stop();
    await bench.happenAll(opens(400, welcome));
    await passInterval();
    bench.start();
    await until(async () => chats().every((posted) => posted.length === 4));
    for (const posted of chats())
      expect(summed(posted.slice(3))).toEqual({ bounces: 0, opened: { Welcome: 1_000 } });
    await passInterval();
    await bench.allAre("delivered");
    expect([slack.answers.length, discord.answers.length]).toEqual([4, 4]);
  });

  test("is counted once and all of it, in whatever portions it comes, and however often EDGR stops and starts", async () => {
    const step = fc.oneof(
      fc.record({ opened: fc.integer({ min: 1, max: 60 }), campaign: fc.constantFrom("A", "B") }),
      fc.record({ bounced: fc.integer({ min: 1, max: 5 }) }),
      fc.constantFrom("the interval ends", "restart", "fails"),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
        customerId = await bench.newCustomer();
        slack.posted.length = 0;
        discord.posted.length = 0;
        await tellChats({ digestSeconds: 300 });
        const campaigns = { A: await newCampaign("A"), B: await newCampaign("B") };
        const happened = { bounces: 0, opened: { A: 0, B: 0 } };
        for (const each of steps) {
          if (each === "the interval ends") await passInterval();
          else if (each === "fails") failBoth();
          else if (each === "restart") {
            await bench.stop();
            bench.start();
          } else if ("bounced" in each) {
            happened.bounces += each.bounced;
            await bench.happenAll(Array(each.bounced).fill({ type: "message_bounced" }));
          } else {
            happened.opened[each.campaign] += each.opened;
            await bench.happenAll(opens(each.opened, campaigns[each.campaign]));
          }
        }
        await passInterval();
        await until(async () => await isAllTold());
        for (const posted of [slack.posted, discord.posted]) {
          const { bounces, opened } = summed(posted);
          expect({ bounces, opened: { A: 0, B: 0, ...opened } }).toEqual(happened);
        }
      }),
      { numRuns: 12, endOnFailure: true },
    );
  }, 120_000);

  // Both refuse the next message, which is sent again.
  function failBoth(): void {
    slack.failNext(500, "rollup_error");
    discord.failNext({ status: 502, body: {}, headers: {} });
  }

  async function isAllTold(): Promise<boolean> {
    await passPauses(bench.db, customerId);
    await passWaits(bench.db, customerId);
    bench.wake();
    const { rows } = await sql`select id from webhook_digest where customer_id = ${customerId}`.execute(
      bench.db,
    );
    return rows.length === 0 && (await bench.deliveries()).every(({ status }) => status === "delivered");
  }
});

test("an example says in every kind of endpoint that it is one", async () => {
  const [toSlack = "", toDiscord = ""] = await tellChats();
  const toCustom = await bench.endpoint("custom", sink.url("/"));
  for (const id of [toSlack, toDiscord, toCustom]) {
    const answer = await bench.call("POST", `/api/v1/webhooks/endpoints/${id}/test`, {
      eventType: "message_bounced",
    });
    expect(answer.body).toMatchObject({ attempt: { outcome: "delivered", status: 200 } });
  }
  expect(slack.posted[0]?.notified.text).toStartWith("Test: ");
  expect(slack.posted[0]?.shown.text).toMatch(/^🔴 Test: /);
  expect(discord.posted[0]?.shown.text).toStartWith("\nTest: Message bounced\nTest: ");
  const [received] = sink.received;
  expect(received?.id).toStartWith("test_");
  expect(JSON.parse(received?.body ?? "")).toMatchObject({ type: "message_bounced", data: { isTest: true } });
  expect([slack.posted.length, discord.posted.length, sink.received.length]).toEqual([1, 1, 1]);
});
