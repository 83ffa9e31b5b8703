import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import {
  createTelegramEdge,
  messageUpdate,
  standingUpdate,
  type TelegramEdge,
} from "../../../test/support/telegram-edge.ts";

let edge: TelegramEdge;

beforeAll(async () => {
  edge = await createTelegramEdge();
});
afterAll(() => edge.close());

const UPDATES = 2_000;
const PEOPLE = 25;
const BEGIN = 1_790_000_000;
const AT_ONCE = 40;

/** What two thousand updates of some people are: messages, edits, stops, blocks and returns, and what is of no use. */
const updates = Array.from({ length: UPDATES }, (_, place) => {
  const updateId = 1_000 + place * 3;
  const number = place % PEOPLE;
  const from = { id: 1_000_000 + number, is_bot: false, first_name: `P${number}` };
  const chat = { id: from.id, type: "private" };
  const about = { from, chat, date: BEGIN + place };
  switch (Math.floor(place / PEOPLE) % 8) {
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
    default:
      return messageUpdate(updateId, { ...about, message_id: place, text: `wrote ${place}` });
  }
});

/** All that a customer would see, without the ids that are new each time. */
async function outcome() {
  const contacts = await edge.contacts();
  const chats = new Map(contacts.map(({ id, chatId }) => [id, chatId]));
  const bubbles = await edge.bubbles();
  const numbers = new Map(bubbles.map(({ messageId, telegramMessageId }) => [messageId, telegramMessageId]));
  const events = (await edge.events()).map(({ contactId, messageId, ...event }) =>
    JSON.stringify([event, chats.get(contactId ?? ""), numbers.get(messageId ?? "")]),
  );
  return {
    contacts: contacts.map(({ id: _, ...contact }) => contact),
    bubbles: bubbles.map(({ messageId: _, contactId, ...bubble }) => ({
      ...bubble,
      of: chats.get(contactId),
    })),
    events: events.sort(),
    kept: await edge.kept(),
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
  await edge.project();
}

test("two thousand updates in any order, some of them twice, end in the same rows", async () => {
  await edge.forget();
  await postAll(updates.toReversed());
  const expected = await outcome();
  expect(expected.contacts.length).toBe(PEOPLE);
  expect(expected.bubbles.length).toBe(UPDATES / 2);
  expect(expected.kept.length).toBe(UPDATES / 8);
  expect(new Set(expected.suppressions.map(({ reason }) => reason))).toEqual(
    new Set(["unsubscribe", "blocked"]),
  );
  expect(expected.bubbles[0]).toMatchObject({ text: "again 50" });
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray(updates, { minLength: UPDATES }),
      fc.subarray(updates, { minLength: 200, maxLength: 500 }),
      async (order, twice) => {
        await edge.forget();
        const half = UPDATES / 2;
        await postAll([...order.slice(0, half), ...twice, ...order.slice(half)]);
        expect(await outcome()).toEqual(expected);
      },
    ),
    { numRuns: 3 },
  );
}, 120_000);
