import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import type { Body } from "../../test/support/app.ts";
import {
  type CampaignApi,
  createCampaignApi,
  helloCampaign,
  smtpCredential,
} from "../../test/support/campaign-api.ts";
import { append, eventOf, listRuns, projectAll, type Run } from "../../test/support/campaigns.ts";
import type { Event, EventType } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { MAX_VALUES } from "../projector/breakdown.ts";

const human = { agent: "human", agentRule: "browser" } as const;
const scanner = { agent: "scanner", agentRule: "known" } as const;
const BUY = "https://example.com/buy";
const LOOK = "https://example.com/look";
const IPHONE =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148";
const FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:120.0) Gecko/20100101 Firefox/120.0";

let api: CampaignApi;
let campaignId: string;
let runs: Run[];

beforeAll(async () => {
  api = await createCampaignApi();
});
afterAll(() => api.close());

beforeEach(async () => {
  const credentialId = (await api.ok("POST", "/credentials", smtpCredential())).id;
  campaignId = (await api.ok("POST", "/campaigns", helloCampaign(credentialId))).id;
});

/** `hello` is queued for a contact at each of the domains. */
async function enrollAt(domains: readonly string[]): Promise<void> {
  const { db } = api.database;
  const ids = domains.map(() => newId());
  await sql`delete from contact where customer_id = ${api.customer.id}`.execute(db);
  await sql`
    insert into contact (customer_id, id, email)
    select ${api.customer.id}, id, 'c' || number || '@' || domain
    from unnest(${ids}::uuid[], ${domains}::text[]) with ordinality as c(id, domain, number)`.execute(db);
  await api.ok("POST", `/campaigns/${campaignId}/activate`);
  await api.ok("POST", `/campaigns/${campaignId}/enroll`, { contactIds: ids });
  await projectAll(db);
  runs = (await listRuns(db, campaignId)).sort((a, b) => ids.indexOf(a.contactId) - ids.indexOf(b.contactId));
}

type Happening = readonly [run: number, type: EventType, more?: Partial<Event>];

async function happen(...events: Happening[]): Promise<void> {
  const made = events.map(([run, type, more]) => {
    const of = runs[run];
    if (of === undefined) throw new Error("there is no such run");
    return eventOf(of, type, more);
  });
  await append(api.database.db, ...made);
  await projectAll(api.database.db);
}

const click = (clickedUrl: string, by: Partial<Event> = human) => ({ ...by, data: { clickedUrl } });

async function items(what: string): Promise<Body[]> {
  return (await api.ok("GET", `/campaigns/${campaignId}/analytics/${what}`)).items;
}

const clicksOf = (links: Body[]) =>
  links.map(({ url, nodeId, clicked }) => [url, nodeId, Object.values(Object(clicked)).slice(0, 4)]);

describe("links", () => {
  test("count each run once for every link, and once more for a person behind a scanner", async () => {
    await enrollAt(["a.example", "b.example"]);
    await happen(
      [0, "email_clicked", click(BUY)],
      [0, "email_clicked", click(BUY)],
      [0, "email_clicked", click(LOOK)],
      [1, "email_clicked", click(BUY, scanner)],
    );
    await happen([1, "email_clicked", click(BUY)], [0, "email_clicked", click(BUY)]);
    await happen([1, "email_clicked", click(BUY)]);
    expect(clicksOf(await items("links"))).toEqual([
      [BUY, "hello", [6, 2, 5, 2]],
      [LOOK, "hello", [1, 1, 1, 1]],
    ]);
  });

  test("are pages in the order in which people click them, and the same in whatever pages", async () => {
    await enrollAt(["a.example"]);
    const urls = Array.from({ length: 7 }, (_, number) => `https://example.com/${number}`);
    for (const [number, url] of urls.entries()) {
      await happen(
        ...Array.from(
          { length: Math.floor(number / 2) + 1 },
          () => [0, "email_clicked", click(url)] as const,
        ),
      );
    }
    const whole = await items("links");
    expect(whole.map(({ clicked }) => Object(clicked).human)).toEqual([4, 3, 3, 2, 2, 1, 1]);
    const paged: Body[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const query: string = cursor === "" ? "" : `&cursor=${cursor}`;
      const page: Body = await api.ok("GET", `/campaigns/${campaignId}/analytics/links?limit=2${query}`);
      paged.push(...page.items);
      cursor = page.nextCursor;
    }
    expect(paged).toEqual(whole);
    const csv = await api.call("GET", `/api/v1/campaigns/${campaignId}/analytics/links?format=csv&limit=2`);
    expect(csv.text.trim().split("\r\n")).toHaveLength(8);
  });

  test("after the first thousand of a campaign are counted together", async () => {
    await enrollAt(["a.example", "b.example"]);
    const urls = Array.from(
      { length: MAX_VALUES.link + 5 },
      (_, number) => `https://example.com/?n=${number}`,
    );
    await happen(...urls.slice(0, 990).map((url) => [0, "email_clicked", click(url)] as const));
    await happen(...urls.slice(980).map((url) => [0, "email_clicked", click(url)] as const));
    await happen([1, "email_clicked", click(urls.at(-1) ?? "")], [1, "email_clicked", click(urls[0] ?? "")]);
    const csv = await api.call("GET", `/api/v1/campaigns/${campaignId}/analytics/links?format=csv`);
    const lines = csv.text.trim().split("\r\n");
    expect(lines).toHaveLength(1 + MAX_VALUES.link + 1);
    expect(lines.find((line) => line.startsWith("other,"))).toStartWith("other,hello,6,6,6,6,");
    expect(lines.find((line) => line.startsWith(`${urls[0]},`))).toStartWith(`${urls[0]},hello,2,2,2,2,`);
    expect(lines.some((line) => line.startsWith(`${urls[1000]},`))).toBe(false);
  });

  test.each(["x", "WyJ4Il0", "W10"])("with the cursor %p are refused", async (cursor) => {
    const answer = await api.call("GET", `/api/v1/campaigns/${campaignId}/analytics/links?cursor=${cursor}`);
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, "cursor"]);
  });

  test("of another node are left out when one is asked for", async () => {
    await enrollAt(["a.example"]);
    await happen([0, "email_clicked", click(BUY)]);
    expect(await items("links?nodeId=hello")).toHaveLength(1);
    expect(await items("links?nodeId=end")).toEqual([]);
  });
});

describe("domains", () => {
  test("have the numbers of the messages that went there, the largest first", async () => {
    await enrollAt(["Small.example", "big.example", "big.example"]);
    await happen([0, "message_sent"], [1, "message_sent"], [2, "message_bounced"]);
    await happen([1, "email_opened", human], [1, "email_opened", human], [1, "email_opened", scanner]);
    const domains = await items("domains");
    expect(domains).toMatchObject([
      {
        domain: "big.example",
        queued: 2,
        sent: 1,
        bounced: { total: 1, unique: 1 },
        opened: { total: 3, unique: 1, human: 2, uniqueHuman: 1 },
      },
      { domain: "small.example", queued: 1, sent: 1, opened: { total: 0 } },
    ]);
    const first = await api.ok("GET", `/campaigns/${campaignId}/analytics/domains?limit=1`);
    const second = await api.ok(
      "GET",
      `/campaigns/${campaignId}/analytics/domains?limit=1&cursor=${first.nextCursor}`,
    );
    expect([first.items, second.items, second.nextCursor]).toEqual([
      domains.slice(0, 1),
      domains.slice(1),
      null,
    ]);
    const csv = await api.call("GET", `/api/v1/campaigns/${campaignId}/analytics/domains?format=csv`);
    expect(csv.text.split("\r\n").map((line) => line.split(",")[0])).toEqual([
      "domain",
      "big.example",
      "small.example",
      "",
    ]);
  });

  test("after the first five hundred of a campaign are counted together", async () => {
    await enrollAt(Array.from({ length: MAX_VALUES.domain + 4 }, (_, number) => `d${number}.example`));
    const csv = await api.call("GET", `/api/v1/campaigns/${campaignId}/analytics/domains?format=csv`);
    const lines = csv.text.trim().split("\r\n");
    expect(lines).toHaveLength(1 + MAX_VALUES.domain + 1);
    expect(lines[1]).toStartWith("other,0,0,0,4,");
  });
});

describe("devices", () => {
  test("have the hits of their programs; a message is unique under the first", async () => {
    await enrollAt(["a.example", "b.example"]);
    await happen(
      [0, "email_opened", { ...human, userAgent: IPHONE }],
      [0, "email_opened", { ...human, userAgent: FIREFOX }],
      [1, "email_opened", { ...scanner, userAgent: FIREFOX }],
    );
    await happen(
      [0, "email_clicked", { ...click(BUY), userAgent: FIREFOX }],
      [1, "email_opened", { ...human, userAgent: IPHONE }],
    );
    expect(await items("devices")).toMatchObject([
      { platform: "iphone", client: null, opened: { total: 2, unique: 1, human: 2, uniqueHuman: 2 } },
      {
        platform: "windows",
        opened: { total: 1, unique: 0, human: 1, uniqueHuman: 0 },
        clicked: { total: 1 },
      },
      { platform: "bot", opened: { total: 1, unique: 1, human: 0 } },
    ]);
    expect(await items("devices?by=both")).toMatchObject([
      { platform: "iphone", client: "apple-mail" },
      { platform: "windows", client: "firefox" },
      { platform: "bot", client: "bot" },
    ]);
    const csv = await api.call(
      "GET",
      `/api/v1/campaigns/${campaignId}/analytics/devices?format=csv&by=client`,
    );
    expect(csv.text.split("\r\n").map((line) => line.split(",").slice(0, 3).join())).toEqual([
      "platform,client,opened.total",
      ",apple-mail,2",
      ",firefox,1",
      ",bot,1",
      "",
    ]);
  });
});
