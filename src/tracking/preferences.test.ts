import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import { type DefaultTreeAdapterTypes, parse } from "parse5";
import { createCustomer } from "../../test/support/campaigns.ts";
import { createTestDatabase, type TestDatabase } from "../../test/support/database.ts";
import { createEdge, NOW_MS, reject, type TestEdge, token } from "../../test/support/tracking-edge.ts";
import { newId } from "../events/id.ts";
import { preferencesUrl } from "./links.ts";
import { readPreferences, savePreferences } from "./preferences-queries.ts";
import { resubscribe, unsubscribe } from "./queries.ts";
import { urlDigest } from "./token.ts";

type Element = DefaultTreeAdapterTypes.Element;

let database: TestDatabase;
let edge: TestEdge;
beforeAll(async () => {
  database = await createTestDatabase();
  const { db } = database;
  edge = createEdge({
    preferences: {
      read: (message) => readPreferences(db, message),
      save: (hit, choice) => savePreferences(db, hit, choice),
    },
    unsubscribes: {
      unsubscribe: (hit) => unsubscribe(db, hit),
      resubscribe: (hit) => resubscribe(db, hit),
    },
  });
});
afterAll(() => database.close());

let ids: { customerId: string; contactId: string; messageId: string; campaignId: string; runId: string };
let news: string;
let tips: string;
beforeEach(async () => {
  const customerId = await createCustomer(database.db);
  ids = { customerId, contactId: newId(), messageId: newId(), campaignId: newId(), runId: newId() };
  [news, tips] = [newId(), newId()];
  await sql`
    insert into contact (customer_id, id, email) values (${customerId}, ${ids.contactId}, 'ann@example.com')`.execute(
    database.db,
  );
  await sql`
    insert into message (customer_id, id, direction, channel, campaign_id, run_id, contact_id, credential_id, to_address)
    values (${customerId}, ${ids.messageId}, 'outbound', 'email', ${ids.campaignId}, ${ids.runId},
      ${ids.contactId}, ${newId()}, 'ann@example.com')`.execute(database.db);
  await sql`
    insert into topic (customer_id, id, name, description) values
      (${customerId}, ${news}, 'News', 'About <b>us</b>'), (${customerId}, ${tips}, 'Tips', '')`.execute(
    database.db,
  );
});

const path = (expiresAt = NOW_MS / 1000 + 1) => {
  const { contactId: _, ...claims } = ids;
  return preferencesUrl("", token({ ...claims, expiresAt }));
};

function post(fields: [string, string][], to = path()): Promise<Response> {
  const body = new URLSearchParams(fields);
  return edge.request(to, { method: "POST", body });
}

function elementsOf(html: string): Element[] {
  const walk = (node: DefaultTreeAdapterTypes.Node): Element[] => [
    ...("tagName" in node ? [node] : []),
    ...("childNodes" in node ? node.childNodes.flatMap(walk) : []),
  ];
  return walk(parse(html));
}

const attributesOf = (element: Element) =>
  Object.fromEntries(element.attrs.map(({ name, value }) => [name, value]));

/** The names of the checkboxes' labels, ticked or not, and of the buttons. */
async function shown(response: Response) {
  const elements = elementsOf(await response.text());
  const textOf = (element: Element | undefined) => {
    const [first] = element?.childNodes ?? [];
    return first !== undefined && "value" in first ? first.value : "";
  };
  const boxes = elements.filter((element) => attributesOf(element).type === "checkbox");
  return {
    status: response.status,
    topics: boxes.map((box) => {
      const { id, checked } = attributesOf(box);
      const label = elements.find(
        (element) => element.tagName === "label" && attributesOf(element).for === id,
      );
      return `${textOf(label)} ${checked === undefined ? "left" : "wanted"}`;
    }),
    buttons: elements.filter((element) => element.tagName === "button").map(textOf),
    told: textOf(elements.find((element) => attributesOf(element).role === "status")),
  };
}

async function state() {
  const { customerId } = ids;
  const left = await sql<{ topic_id: string }>`
    select topic_id from contact_topic_left where customer_id = ${customerId} order by topic_id`.execute(
    database.db,
  );
  const suppressed = await sql`select from suppression where customer_id = ${customerId}`.execute(
    database.db,
  );
  const events = await sql<{ type: string; data: object; contact_id: string; run_id: string }>`
    select type, data, contact_id, run_id from event_log
    where customer_id = ${customerId} order by position`.execute(database.db);
  return {
    left: left.rows.map((row) => row.topic_id),
    suppressed: suppressed.rows.length,
    events: events.rows.map(({ type, data }) => [type, data]),
    whose: [...new Set(events.rows.map((row) => `${row.contact_id} ${row.run_id}`))],
  };
}

const UNTOUCHED = { left: [], suppressed: 0, events: [], whose: [] };

describe("GET", () => {
  test("shows every topic with its state, and changes nothing", async () => {
    expect(await shown(await edge.request(path()))).toEqual({
      status: 200,
      topics: ["News wanted", "Tips wanted"],
      buttons: ["Save my choices", "Unsubscribe from all"],
      told: "",
    });
    expect(await state()).toEqual(UNTOUCHED);
  });

  test("escapes what the customer wrote and names it to screen readers", async () => {
    const html = await (await edge.request(path())).text();
    expect(html).toContain('<p id="about-0">About &lt;b&gt;us&lt;/b&gt;</p>');
    expect(html).toContain('aria-describedby="about-0"');
    expect(html).toContain("<legend>Topics</legend>");
    expect(html).not.toContain("<script");
  });

  test("works with an expired token, as unsubscribing does", async () => {
    expect((await shown(await edge.request(path(1)))).topics).toHaveLength(2);
  });

  test("a scanner's too, and HEAD, change nothing", async () => {
    await edge.request(path(), { headers: { "User-Agent": "curl/8" } });
    expect((await edge.request(path(), { method: "HEAD" })).status).toBe(200);
    expect(await state()).toEqual(UNTOUCHED);
  });
});

describe("saving", () => {
  test("leaves what is not ticked, and says so with events in the same commit", async () => {
    const answer = await post([
      ["action", "save"],
      ["shown", news],
      ["shown", tips],
      ["topic", tips],
    ]);
    expect(await shown(answer)).toMatchObject({
      topics: ["News left", "Tips wanted"],
      told: "Your choices are saved.",
    });
    expect(await state()).toEqual({
      left: [news],
      suppressed: 0,
      events: [["topic_left", { topicId: news }]],
      whose: [`${ids.contactId} ${ids.runId}`],
    });
  });

  test("twice records once, and coming back is recorded too", async () => {
    for (const wanted of [[], [], [["topic", news]]] as [string, string][][])
      await post([["action", "save"], ["shown", news], ...wanted]);
    expect(await state()).toMatchObject({
      left: [],
      events: [
        ["topic_left", { topicId: news }],
        ["topic_rejoined", { topicId: news }],
      ],
    });
  });

  test("says nothing of topics that were not on the page", async () => {
    await post([
      ["action", "save"],
      ["shown", news],
      ["topic", news],
    ]);
    expect(await state()).toEqual(UNTOUCHED);
  });

  test("takes no topic of another customer, and no nonsense", async () => {
    const other = { customerId: await createCustomer(database.db), topic: newId() };
    await sql`
      insert into topic (customer_id, id, name, description)
      values (${other.customerId}, ${other.topic}, 'Theirs', '')`.execute(database.db);
    await post([
      ["action", "save"],
      ["shown", other.topic],
      ["shown", "x' or 1=1"],
      ["shown", newId()],
    ]);
    expect(await state()).toEqual(UNTOUCHED);
  });

  test.each([
    [[["action", "nonsense"]]],
    [[]],
    [
      [
        ["action", "save"],
        ["action", "unsubscribe"],
      ],
    ],
  ] as [string, string][][][])("a POST of %j changes nothing", async (fields) => {
    expect((await post(fields)).status).toBe(200);
    expect(await state()).toEqual(UNTOUCHED);
  });
});

describe("unsubscribing from all", () => {
  test("suppresses, says so, and offers to undo it; the choices stay", async () => {
    await post([
      ["action", "save"],
      ["shown", news],
    ]);
    const answer = await shown(await post([["action", "unsubscribe"]]));
    expect(answer).toEqual({
      status: 200,
      topics: ["News left", "Tips wanted"],
      buttons: ["Subscribe me again", "Save my choices"],
      told: "You are unsubscribed from all messages.",
    });
    expect((await state()).suppressed).toBe(1);
    expect((await shown(await post([["action", "resubscribe"]]))).told).toBe("You are subscribed again.");
    expect((await state()).events.map(([type]) => type)).toEqual([
      "topic_left",
      "unsubscribed",
      "resubscribed",
    ]);
  });

  test("that is only kept, while the database is away, is called so", async () => {
    const away = createEdge({
      unsubscribes: { unsubscribe: async () => "kept", resubscribe: async () => "kept" },
    });
    const body = new URLSearchParams({ action: "unsubscribe" });
    const answer = await away.request(path(), { method: "POST", body });
    expect(await answer.text()).toContain("We have your request");
  });
});

test("a deleted contact gets an honest page and can still unsubscribe", async () => {
  await sql`delete from contact where customer_id = ${ids.customerId}`.execute(database.db);
  const answer = await edge.request(path());
  expect([answer.status, await answer.text()]).toEqual([410, expect.stringContaining("have been deleted")]);
  expect(
    (
      await post([
        ["action", "save"],
        ["shown", news],
      ])
    ).status,
  ).toBe(410);
  await post([["action", "unsubscribe"]]);
  expect(await state()).toMatchObject({ left: [], suppressed: 1 });
});

test("deleting a contact or a topic forgets what was left", async () => {
  await post([
    ["action", "save"],
    ["shown", news],
    ["shown", tips],
  ]);
  await sql`delete from topic where customer_id = ${ids.customerId} and id = ${news}`.execute(database.db);
  expect((await state()).left).toEqual([tips]);
  await sql`delete from contact where customer_id = ${ids.customerId}`.execute(database.db);
  expect((await state()).left).toEqual([]);
});

test("a test message's link says that it was one", async () => {
  ids.messageId = newId();
  expect(await (await edge.request(path())).text()).toContain("This was a test message");
});

test("a wrong token, or a click's, shows nothing", async () => {
  const { contactId: _, ...claims } = ids;
  const clickToken = token({ ...claims, urlDigest: urlDigest("https://example.com") });
  for (const wrong of ["", "?t=", "?t=x.y.z", `?t=${clickToken}`]) {
    expect((await edge.request(`/api/preferences${wrong}`)).status).toBe(400);
  }
});

test("while the database is away, looking says try later and saving does not say it was done", async () => {
  const away = createEdge({ preferences: { read: reject, save: reject } });
  const looked = await away.request(path());
  expect([looked.status, await looked.text()]).toEqual([
    503,
    expect.stringContaining("can’t show this page"),
  ]);
  const body = new URLSearchParams({ action: "save" });
  const saved = await away.request(path(), { method: "POST", body });
  expect([saved.status, await saved.text()]).toEqual([503, expect.stringContaining("could not record")]);
  expect(away.counted).toEqual(["lostHit preferences"]);
});
