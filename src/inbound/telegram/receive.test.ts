import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { sql } from "kysely";
import { TEST_ENCRYPTION_KEY } from "../../../test/support/campaigns.ts";
import {
  ANN,
  BOT_ID,
  createTelegramEdge,
  messageUpdate,
  SECRET,
  standingUpdate,
  type TelegramEdge,
} from "../../../test/support/telegram-edge.ts";
import { newId } from "../../events/id.ts";
import { createStartLinks } from "./start-link.ts";

const GROUP = -1_001_987_654_321;

let edge: TelegramEdge;

beforeAll(async () => {
  edge = await createTelegramEdge();
});
afterAll(() => edge.close());
beforeEach(() => edge.forget());

async function addContact(chatId: number | null, email: string | null = null): Promise<string> {
  const id = newId();
  await sql`
    insert into contact (customer_id, id, email, telegram_chat_id)
    values (${edge.customer.id}, ${id}, ${email}, ${chatId})`.execute(edge.database.db);
  return id;
}

const accept = async (update: object | string) => expect((await edge.post(update)).status).toBe(200);

describe("a request without the webhook's secret", () => {
  const wrong: [string, string | null][] = [
    ["missing", null],
    ["empty", ""],
    ["another", "x".repeat(SECRET.length)],
    ["one that begins like it", SECRET.slice(0, -1)],
    ["one that goes on", `${SECRET}A`],
    ["very long", "A".repeat(100_000)],
    ["not ASCII", "s\u00e9cr\u00e8t\u00ff"],
  ];

  test.each(wrong)("is refused and its body not read: %s", async (_, secret) => {
    const { response, reads } = await postUnread(edge.credentialId, secret);
    expect([response.status, reads]).toEqual([401, 0]);
    expect(await edge.kept()).toEqual([]);
  });

  test("is answered as one to a webhook that there is not", async () => {
    const bodies = [];
    for (const [id, secret] of [
      [edge.credentialId, "wrong"],
      [newId(), SECRET],
      ["not-an-id", SECRET],
      ["%00", SECRET],
    ] as const) {
      const { response, reads } = await postUnread(id, secret);
      const { requestId, ...rest } = JSON.parse(await response.text());
      expect([typeof requestId, reads]).toEqual(["string", 0]);
      bodies.push(rest);
    }
    expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1);
    expect(bodies[0]).toMatchObject({ status: 401 });
  });

  test("is refused at a credential that has no webhook, also without a secret", async () => {
    const id = newId();
    await sql`
      insert into credential (customer_id, id, type, name, settings, secret)
      values (${edge.customer.id}, ${id}, 'telegram', 'x', '{}', '')`.execute(edge.database.db);
    for (const secret of [null, "", SECRET])
      expect((await edge.post({ update_id: 1 }, { credentialId: id, secret })).status).toBe(401);
  });
});

/** A request whose body says how often somebody asked for it. */
async function postUnread(credentialId: string, secret: string | null) {
  let reads = 0;
  const body = new ReadableStream(
    {
      pull(controller) {
        reads += 1;
        controller.enqueue(new TextEncoder().encode(JSON.stringify(messageUpdate(1))));
        controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  const headers = new Headers();
  if (secret !== null) headers.set("X-Telegram-Bot-Api-Secret-Token", secret);
  const request = new Request(`https://edgr.example.com/api/telegram/webhook/${credentialId}`, {
    method: "POST",
    headers,
    body,
  });
  const response = await edge.app.request(request, undefined, { ip: null });
  return { response, reads };
}

describe("a body", () => {
  test.each([
    "",
    "{",
    "[]",
    "null",
    "1",
    '"x"',
    "{}",
    '{"update_id":"1"}',
    '{"update_id":1.5}',
    '{"update_id":1e300}',
    '{"update_id":-1}',
  ])("that is no update is refused: %s", async (body) => {
    expect((await edge.post(body)).status).toBe(400);
    expect(await edge.kept()).toEqual([]);
  });

  test("of more than a mebibyte is refused", async () => {
    expect((await edge.post(messageUpdate(1, { text: "x".repeat(1024 * 1024) }))).status).toBe(413);
  });

  test("is answered with an object that calls nothing, whatever is in it", async () => {
    const response = await edge.post(messageUpdate(1, { method: "sendMessage", text: '{"method":"close"}' }));
    expect(await response.text()).toBe("{}");
  });

  test("that says what nobody can use is taken and kept as it came", async () => {
    const texts = [
      '{"update_id":1}',
      '{"update_id":2,"message":{"text":"no chat"}}',
      '{"update_id":3,"a_kind_of_tomorrow":{"x":1}}',
      '{"update_id":4,"my_chat_member":{}}',
      '{"update_id":5,"message_reaction":{"chat":{"id":1,"type":"private"}}}',
      '{"update_id":6,"callback_query":{"id":"1"}}',
      '{"update_id":7,"poll\\u0000":{"x":"\\ud800"}}',
    ];
    for (const text of texts) await accept(text);
    expect((await edge.kept()).map(({ status, raw }) => [status, raw])).toEqual(
      texts.map((text, place) => [place === 2 || place === 6 ? "ignored" : "odd", text]),
    );
    const listed = await edge.call("GET", "/api/v1/inbound-events?status=odd");
    expect(listed.body.items.map((item) => [item.source, item.topicArn, item.credentialId])).toEqual(
      texts.slice(2).map(() => ["telegram", null, edge.credentialId]),
    );
  });

  test("of any JSON with an update_id never makes it answer 5xx", async () => {
    const key = fc.constantFrom(
      "message",
      "edited_message",
      "channel_post",
      "my_chat_member",
      "message_reaction",
      "callback_query",
      "inline_query",
      "x",
      "__proto__",
      "constructor",
    );
    const part = fc.constantFrom(
      "chat",
      "from",
      "text",
      "entities",
      "photo",
      "date",
      "message_id",
      "new_chat_member",
      "contact",
      "location",
      "voice",
      "migrate_to_chat_id",
      "toString",
    );
    const value = fc.oneof(
      fc.jsonValue(),
      fc.string({ unit: "binary" }),
      fc.double(),
      fc.maxSafeInteger(),
      fc.constant("\0"),
      fc.constant("\ud800"),
    );
    const body = fc.oneof(
      fc.dictionary(part, value),
      fc.record({
        message_id: fc.maxSafeInteger(),
        chat: fc.record({ id: fc.maxSafeInteger(), type: fc.constantFrom("private", "group", "\0") }),
        date: fc.oneof(fc.maxSafeInteger(), fc.integer()),
        text: fc.string({ unit: "binary" }),
        entities: fc.array(
          fc.record({
            type: fc.constantFrom("bold", "text_link", "toString"),
            offset: fc.maxSafeInteger(),
            length: fc.maxSafeInteger(),
            url: fc.webUrl(),
          }),
        ),
        from: fc.record({ id: fc.maxSafeInteger(), first_name: fc.string({ unit: "binary" }) }),
      }),
    );
    let updateId = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(key, fc.oneof(body, value)), { minLength: 1, maxLength: 2 }),
        async (entries) => {
          updateId += 1;
          const { status } = await edge.post({ update_id: updateId, ...Object.fromEntries(entries) });
          expect(status).toBe(200);
        },
      ),
      { numRuns: 400 },
    );
    expect((await edge.bubbles()).length + (await edge.kept()).length).toBeGreaterThan(200);
  });

  test("that the database refuses is taken and kept, and what comes beside it is not held up", async () => {
    const { db } = edge.database;
    await sql`
      create function refuse_poison() returns trigger language plpgsql as $$
        begin raise exception 'no' using errcode = '22000'; end $$`.execute(db);
    await sql`
      create trigger poison before insert on inbound_telegram for each row when (new.text = 'poison')
        execute function refuse_poison()`.execute(db);
    const updates = Array.from({ length: 20 }, (_, place) =>
      messageUpdate(place + 1, { text: place === 7 ? "poison" : "fine" }),
    );
    await Promise.all(updates.map(accept));
    await sql`drop trigger poison on inbound_telegram`.execute(db);
    expect((await edge.bubbles()).length).toBe(19);
    expect((await edge.events()).length).toBe(19);
    expect(await edge.kept()).toMatchObject([
      { updateId: "8", status: "odd", reason: "the database refuses it" },
    ]);
  });

  test("that could not be made durable is answered with a 5xx, and taken when it comes again", async () => {
    const { db } = edge.database;
    await sql`alter table inbound_seen rename to away`.execute(db);
    expect((await edge.post(messageUpdate(1))).status).toBeGreaterThanOrEqual(500);
    await sql`alter table away rename to inbound_seen`.execute(db);
    await accept(messageUpdate(1));
    expect((await edge.bubbles()).length).toBe(1);
  });

  test("nested deeper than anybody reads is answered all the same", async () => {
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    const { status } = await edge.post(`{"update_id":1,"message":{"chat":${deep}}}`);
    expect([200, 400]).toContain(status);
  });
});

describe("a message", () => {
  test("of somebody unknown makes a contact of him, and belongs to him", async () => {
    await accept(messageUpdate(1, { text: "Hi" }));
    const [contact] = await edge.contacts();
    expect(contact).toMatchObject({
      chatId: ANN.id,
      attributes: { firstName: "Ann", lastName: "Voter", username: "ann_voter" },
    });
    const [bubble] = await edge.bubbles();
    expect(bubble).toMatchObject({ contactId: contact?.id ?? "", kind: "text", text: "Hi" });
    expect(await edge.events()).toMatchObject([
      {
        type: "message_received",
        at: new Date(1_790_000_000_000),
        contactId: contact?.id,
        messageId: bubble?.messageId,
        data: { channel: "telegram", kind: "text", text: "Hi", chatId: ANN.id },
      },
    ]);
  });

  test("of a contact's chat belongs to that contact, and changes nothing of his", async () => {
    const id = await addContact(ANN.id, "ann@example.com");
    await accept(messageUpdate(1));
    expect(await edge.contacts()).toMatchObject([{ id, attributes: {} }]);
    expect(await edge.bubbles()).toMatchObject([{ contactId: id }]);
  });

  test("of a group is a contact's where the group is one, and else kept: its members become none", async () => {
    const chat = { id: GROUP, type: "supergroup" };
    await accept(messageUpdate(1, { chat }));
    expect([await edge.contacts(), await edge.bubbles()]).toEqual([[], []]);
    expect(await edge.kept()).toMatchObject([{ status: "unmatched" }]);
    const id = await addContact(GROUP);
    await accept(messageUpdate(2, { chat }));
    expect(await edge.bubbles()).toMatchObject([{ contactId: id, fromId: ANN.id, chatId: GROUP }]);
  });

  test("of one number in two chats is two, and of one update number at two bots too", async () => {
    const other = await edge.createBot(BOT_ID + 1);
    const bob = { id: 77, first_name: "Bob" };
    await accept(messageUpdate(1, { message_id: 5 }));
    await accept(messageUpdate(2, { message_id: 5, from: bob, chat: { id: 77, type: "private" } }));
    expect((await edge.post(messageUpdate(1, { message_id: 5 }), { credentialId: other })).status).toBe(200);
    expect((await edge.bubbles()).length).toBe(3);
    expect((await edge.contacts()).length).toBe(2);
  });

  test("edited is the same message as its newest edit says, and no second event", async () => {
    const edit = (updateId: number, text: string, edited: number) =>
      messageUpdate(updateId, { message_id: 9, text, edit_date: edited }, "edited_message");
    await accept(edit(3, "second", 1_790_000_020));
    await accept(edit(2, "first", 1_790_000_010));
    expect(await edge.events()).toEqual([]);
    await accept(messageUpdate(1, { message_id: 9, text: "wrote" }));
    expect(await edge.bubbles()).toMatchObject([
      { telegramMessageId: 9, text: "second", editedAt: new Date(1_790_000_020_000) },
    ]);
    expect((await edge.events()).map(({ type, data }) => [type, data.text])).toEqual([
      ["message_received", "wrote"],
    ]);
  });

  test("that answers one, and those of an album, say so", async () => {
    await accept(
      messageUpdate(1, { reply_to_message: { message_id: 40, chat: { id: ANN.id, type: "private" } } }),
    );
    await accept(
      messageUpdate(2, {
        media_group_id: "130",
        text: undefined,
        photo: [{ file_id: "a" }],
        caption: "both",
      }),
    );
    await accept(messageUpdate(3, { media_group_id: "130", text: undefined, photo: [{ file_id: "b" }] }));
    expect(
      (await edge.bubbles()).map(({ replyToMessageId, mediaGroupId, text }) => [
        replyToMessageId,
        mediaGroupId,
        text,
      ]),
    ).toEqual([
      [40, null, "hello"],
      [null, "130", "both"],
      [null, "130", null],
    ]);
  });
});

test("a group that becomes a supergroup stays the same contact, whichever of the two tells it", async () => {
  for (const told of [
    { chat: { id: -42, type: "group" }, text: undefined, migrate_to_chat_id: GROUP },
    { chat: { id: GROUP, type: "supergroup" }, text: undefined, migrate_from_chat_id: -42 },
  ]) {
    await edge.forget();
    const id = await addContact(-42);
    await accept(messageUpdate(1, told));
    expect(await edge.contacts()).toMatchObject([{ id, chatId: GROUP }]);
    expect(await edge.events()).toEqual([]);
    await accept(messageUpdate(2, { chat: { id: GROUP, type: "supergroup" } }));
    expect((await edge.bubbles()).map(({ contactId }) => contactId)).toContain(id);
  }
});

test("a group that is told last that it became a supergroup keeps that too", async () => {
  const id = await addContact(-42);
  await accept(
    messageUpdate(1, { chat: { id: GROUP, type: "supergroup" }, text: undefined, migrate_from_chat_id: -42 }),
  );
  await accept(
    messageUpdate(2, { chat: { id: -42, type: "group" }, text: undefined, migrate_to_chat_id: GROUP }),
  );
  expect((await edge.bubbles()).map(({ chatId, contactId }) => [chatId, contactId])).toEqual([
    [GROUP, id],
    [-42, id],
  ]);
  expect(await edge.kept()).toEqual([]);
});

describe("/start", () => {
  const links = createStartLinks(TEST_ENCRYPTION_KEY);
  const start = (payload: string) => messageUpdate(1, { text: `/start ${payload}` });

  test("by a contact's own link gives him the chat", async () => {
    const id = await addContact(null, "ann@example.com");
    const payload = links.payloadOf({ customerId: edge.customer.id, contactId: id });
    expect(payload).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
    await accept(start(payload));
    expect(await edge.contacts()).toMatchObject([{ id, chatId: ANN.id }]);
    expect(await edge.bubbles()).toMatchObject([{ contactId: id }]);
  });

  test("by the link that the API gives connects him", async () => {
    const id = await addContact(null, "ann@example.com");
    const answer = await edge.call("GET", `/api/v1/contacts/${id}/telegram-link`);
    expect(answer.status).toBe(200);
    const own = answer.body.items.find(({ credentialId }) => credentialId === edge.credentialId);
    expect(own).toMatchObject({ botUsername: `bot_${BOT_ID}` });
    const url = new URL(String(own?.url));
    expect(url.origin + url.pathname).toBe(`https://t.me/bot_${BOT_ID}`);
    await accept(start(url.searchParams.get("start") ?? ""));
    expect(await edge.contacts()).toMatchObject([{ id, chatId: ANN.id }]);
  });

  test("has no link for a contact of another customer", async () => {
    const id = await addContact(null, "ann@example.com");
    const customer = await edge.createCustomer("thief");
    const answer = await edge.call("GET", `/api/v1/contacts/${id}/telegram-link`, { customer });
    expect(answer.status).toBe(404);
  });

  test("by another customer's link, or one that was changed, is somebody new", async () => {
    const id = await addContact(null, "ann@example.com");
    const own = links.payloadOf({ customerId: edge.customer.id, contactId: id });
    const changed = `${own.slice(0, -3)}AAA`;
    for (const payload of [
      links.payloadOf({ customerId: newId(), contactId: id }),
      changed,
      own.slice(0, 22),
      "",
    ]) {
      await sql`delete from inbound_seen`.execute(edge.database.db);
      await accept(start(payload));
    }
    expect((await edge.contacts()).find((contact) => contact.id === id)).toMatchObject({ chatId: null });
  });

  test("by a link that somebody passed on does not take a chat away from its contact", async () => {
    const id = await addContact(77, "ann@example.com");
    await accept(start(links.payloadOf({ customerId: edge.customer.id, contactId: id })));
    expect((await edge.contacts()).map(({ chatId }) => chatId)).toEqual([77, ANN.id]);
  });
});

describe("a person's standing", () => {
  test("in a private chat is an event of the contact; in a group it is about nobody", async () => {
    await accept(standingUpdate(1, "kicked", 1_790_000_000));
    await accept(standingUpdate(2, "member", 1_790_000_010));
    await accept(standingUpdate(3, "kicked", 1_790_000_020, { id: GROUP, type: "supergroup" }));
    const [contact] = await edge.contacts();
    expect(await edge.events()).toMatchObject([
      { type: "contact_blocked", contactId: contact?.id, data: { chatId: ANN.id } },
      { type: "contact_unblocked", contactId: contact?.id },
    ]);
    expect(await edge.kept()).toMatchObject([{ updateId: "3", status: "ignored" }]);
  });

  test("/stop unsubscribes the chat at once, and /start does not take that back", async () => {
    await accept(messageUpdate(1, { text: "/stop" }));
    const stopped = [{ address: String(ANN.id), reason: "unsubscribe" }];
    expect(await edge.suppressions()).toEqual(stopped);
    await accept(messageUpdate(2, { text: "/start", date: 1_790_000_050 }));
    await edge.project();
    expect(await edge.suppressions()).toEqual(stopped);
    expect((await edge.events()).map(({ type }) => type)).toEqual([
      "message_received",
      "unsubscribed",
      "message_received",
    ]);
  });

  test("/stop in a group suppresses nobody", async () => {
    await addContact(GROUP);
    await accept(messageUpdate(1, { text: "/stop@our_bot", chat: { id: GROUP, type: "supergroup" } }));
    expect(await edge.suppressions()).toEqual([]);
  });
});
