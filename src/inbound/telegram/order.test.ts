import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { sql } from "kysely";
import {
  createTelegramEdge,
  messageUpdate,
  pressUpdate,
  reactionUpdate,
  standingUpdate,
  type TelegramEdge,
} from "../../../test/support/telegram-edge.ts";
import type { Json } from "../../events/event.ts";
import { UNSUBSCRIBE_CALLBACK } from "../../telegram/callback.ts";

let edge: TelegramEdge;

beforeAll(async () => {
  edge = await createTelegramEdge();
});
afterAll(() => edge.close());

const UPDATES = 2_400;
const KINDS = 12;
const PEOPLE = 25;
const BEGIN = 1_790_000_000;
const AT_ONCE = 40;
const CAMPAIGN_ID = "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a24";

/** What was sent to the first few of them before, by number and time. */
const WRITTEN_TO = 10;
const SENT = [
  { number: 1_000_000, at: BEGIN + 300 },
  { number: 1_000_001, at: BEGIN + 1_500 },
];

/**
 * What they do: messages, edits, answers, stops, buttons, reactions, some before their messages, blocks and returns, and
 * what is of no use.
 */
const updates = Array.from({ length: UPDATES }, (_, place) => {
  const updateId = 1_000 + place * 3;
  const number = place % PEOPLE;
  const from = { id: 1_000_000 + number, is_bot: false, first_name: `P${number}` };
  const chat = { id: from.id, type: "private" };
  const about = { from, chat, date: BEGIN + place };
  const reacts = (number: number, ...emoji: string[]) =>
    reactionUpdate(updateId, number, emoji, { chat, user: from, date: BEGIN + place });
  const turn = Math.floor(place / PEOPLE);
  switch (turn % KINDS) {
    case 1: {
      const edited = {
        ...about,
        date: BEGIN + place - PEOPLE,
        message_id: place - PEOPLE,
        text: `edited ${place}`,
      };
      return messageUpdate(updateId, { ...edited, edit_date: BEGIN + place }, "edited_message");
    }
    case 2: {
      const edited = {
        ...about,
        date: BEGIN + place - 2 * PEOPLE,
        message_id: place - 2 * PEOPLE,
        text: `again ${place}`,
      };
      return messageUpdate(updateId, { ...edited, edit_date: BEGIN + place }, "edited_message");
    }
    case 3: {
      const status = number % 3 === 0 && place > UPDATES / 2 ? "kicked" : "member";
      return standingUpdate(updateId, status, BEGIN + place, chat, from);
    }
    case 4:
      return { update_id: updateId, poll: { id: String(place) } };
    case 5:
      return messageUpdate(updateId, {
        ...about,
        message_id: place,
        text: ["/hello", "/stop", "/start"][number % 3],
      });
    case 8:
      return reacts(place - 8 * PEOPLE, "👍");
    case 9:
      return turn % 2 === 0 ? reacts(place - 9 * PEOPLE) : reacts(place - 9 * PEOPLE, "🔥", "🎉");
    case 10: {
      if (number % 2 === 0) return reacts(1_000_000, number % 4 === 0 ? "👎" : "👏");
      const message = { message_id: 1_000_000, chat };
      return pressUpdate(updateId, number % 3 === 0 ? UNSUBSCRIBE_CALLBACK : "x", 0, { from, message });
    }
    case 11: {
      const replied = { reply_to_message: { message_id: SENT[number % 2]?.number } };
      return messageUpdate(updateId, { ...about, message_id: place, text: "an answer", ...replied });
    }
    default:
      return messageUpdate(updateId, { ...about, message_id: place, text: `wrote ${place}` });
  }
});

/** As long as nothing else is there: some of them as contacts, who were sent what `SENT` says. */
async function begin(): Promise<void> {
  await edge.forget();
  await sql`
    with person as (
      insert into contact (customer_id, id, email, telegram_chat_id)
      select ${edge.customer.id}::uuid, new_id(), 'p' || n || '@example.com', 1000000 + n
      from generate_series(0, ${WRITTEN_TO - 1}::int) as n
      returning id, telegram_chat_id
    ), sent as (
      select new_id() as id, p.id as contact_id, p.telegram_chat_id as chat_id, s.number, to_timestamp(s.at) as at
      from person p, jsonb_to_recordset(${JSON.stringify(SENT)}::jsonb) as s(number bigint, at bigint)
    ), message_row as (
      insert into message (customer_id, id, direction, channel, campaign_id, run_id, contact_id, credential_id, to_address,
        status, sent_at)
      select ${edge.customer.id}::uuid, id, 'outbound', 'telegram', ${CAMPAIGN_ID}::uuid,
        (lpad(chat_id::text || right(number::text, 1), 8, '0') || '-0000-7000-8000-000000000000')::uuid, contact_id,
        ${edge.credentialId}::uuid, chat_id::text, 'sent', at
      from sent
    )
    insert into outbound_telegram (customer_id, message_id, credential_id, chat_id, telegram_message_id, html, keyboard, sent_at)
    select ${edge.customer.id}::uuid, id, ${edge.credentialId}::uuid, chat_id, number, '', '[]', at
    from sent`.execute(edge.database.db);
}

/** All that a customer would see, without the ids that are new each time. */
async function outcome() {
  const contacts = await edge.contacts();
  const chats = new Map(contacts.map(({ id, chatId }) => [id, chatId]));
  const bubbles = await edge.bubbles();
  const { rows: sent } = await sql<{ messageId: string; telegramMessageId: number }>`
    select message_id as "messageId", telegram_message_id as "telegramMessageId" from outbound_telegram`.execute(
    edge.database.db,
  );
  const numbers = new Map(
    [...bubbles, ...sent].map(({ messageId, telegramMessageId }) => [messageId, telegramMessageId]),
  );
  const withNumber = (data: { [name: string]: Json }) => {
    const { answersMessageId: answers, ...rest } = data;
    return typeof answers === "string" ? { ...rest, answers: numbers.get(answers) } : data;
  };
  const events = (await edge.events()).map(({ contactId, messageId, data, ...event }) =>
    JSON.stringify([event, withNumber(data), chats.get(contactId ?? ""), numbers.get(messageId ?? "")]),
  );
  return {
    contacts: contacts.map(({ id: _, ...contact }) => contact),
    bubbles: bubbles.map(({ messageId: _, contactId, answersMessageId, ...bubble }) => ({
      ...bubble,
      answers: numbers.get(answersMessageId ?? ""),
      of: chats.get(contactId),
    })),
    events: events.sort(),
    // What waited is there twice: as it was kept, and as what has become of it.
    kept: (await edge.kept()).filter(({ status }) => status !== "matched"),
    reactions: (await edge.reactions()).map((reaction) => JSON.stringify(reaction)).sort(),
    suppressions: await edge.suppressions(),
  };
}

async function postAll(order: readonly object[]): Promise<void> {
  const waiting = [...order];
  const post = async () => {
    for (let update = waiting.pop(); update !== undefined; update = waiting.pop())
      if ((await edge.post(update)).status !== 200) throw new Error("every update is taken");
  };
  await Promise.all(Array.from({ length: AT_ONCE }, post));
  await edge.matchWaiting();
  await edge.project();
}

test("updates in any order, some of them twice, end in the same rows", async () => {
  edge.setTime(new Date((BEGIN + UPDATES) * 1_000));
  await begin();
  await postAll(updates.toReversed());
  const expected = await outcome();
  expect(expected.contacts.length).toBe(PEOPLE);
  expect(expected.bubbles.length).toBe((UPDATES * 5) / KINDS);
  expect(new Set(expected.suppressions.map(({ reason }) => reason))).toEqual(
    new Set(["unsubscribe", "blocked"]),
  );
  expect(expected.bubbles.find(({ telegramMessageId }) => telegramMessageId === 0)).toMatchObject({
    text: `again ${2 * PEOPLE}`,
  });
  const matched = expected.bubbles.map(({ matchedBy }) => matchedBy);
  expect(new Set(matched)).toEqual(new Set(["reply", "sender", null]));
  expect(expected.reactions.length).toBeGreaterThan(UPDATES / KINDS);
  expect(expected.events.filter((event) => event.includes('"message_reacted"')).length).toBeGreaterThan(400);
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray(updates, { minLength: UPDATES }),
      fc.subarray(updates, { minLength: 200, maxLength: 500 }),
      async (order, twice) => {
        await begin();
        const half = UPDATES / 2;
        await postAll([...order.slice(0, half), ...twice, ...order.slice(half)]);
        expect(await outcome()).toEqual(expected);
      },
    ),
    { numRuns: 3 },
  );
}, 120_000);
