import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import { TEST_ENCRYPTION_KEY } from "../../../test/support/campaigns.ts";
import { sendInTelegram } from "../../../test/support/telegram-campaign.ts";
import {
  ANN,
  createTelegramEdge,
  messageUpdate,
  type TelegramEdge,
} from "../../../test/support/telegram-edge.ts";
import { newId } from "../../events/id.ts";
import { createStartLinks } from "./start-link.ts";

const links = createStartLinks(TEST_ENCRYPTION_KEY);
const BEGIN = 1_790_000_000;

let edge: TelegramEdge;

beforeAll(async () => {
  edge = await createTelegramEdge();
});
afterAll(() => edge.close());
beforeEach(() => edge.forget());

async function addContact(email: string | null, chatId: number | null = null): Promise<string> {
  const id = newId();
  await sql`
    insert into contact (customer_id, id, email, telegram_chat_id)
    values (${edge.customer.id}, ${id}, ${email}, ${chatId})`.execute(edge.database.db);
  return id;
}

async function tell(...updates: object[]): Promise<void> {
  for (const update of updates) expect((await edge.post(update)).status).toBe(200);
  await edge.project();
}

const startOf = (updateId: number, contactId: string, more: object = {}) => {
  const text = `/start ${links.payloadOf({ customerId: edge.customer.id, contactId })}`;
  return messageUpdate(updateId, { text, date: BEGIN + updateId, ...more });
};

const chats = async () => new Map((await edge.contacts()).map(({ id, chatId }) => [id, chatId]));

async function onlyContact(): Promise<string> {
  const contacts = await edge.contacts();
  expect(contacts.length).toBe(1);
  return contacts[0]?.id ?? "";
}

describe("who wrote before he opened his link", () => {
  test("has his chat and what was said in it from then on; what he did stays where it was", async () => {
    await tell(messageUpdate(1, { text: "Hi" }));
    const made = await onlyContact();
    const sent = await sendInTelegram(edge, {
      contactId: made,
      chatId: ANN.id,
      number: 500,
      sentAt: new Date((BEGIN + 1) * 1_000),
    });
    const ann = await addContact("ann@example.com");
    await tell(startOf(2, ann), messageUpdate(3, { text: "It's me", date: BEGIN + 30 }));
    expect(await chats()).toEqual(
      new Map([
        [ann, ANN.id],
        [made, null],
      ]),
    );
    const { rows } = await sql<{ contactId: string; count: number }>`
      select contact_id as "contactId", count(*)::int as count from message group by 1`.execute(
      edge.database.db,
    );
    expect(rows).toEqual([{ contactId: ann, count: 4 }]);
    // Who answers, answers the run that asked him, whosever it is.
    const { rows: runs } = await sql<{ replied: boolean; contactId: string }>`
      select output ? 'replied' as replied, contact_id as "contactId" from node_run where id = ${sent.runId}`.execute(
      edge.database.db,
    );
    expect(runs).toEqual([{ replied: true, contactId: made }]);
    const { rows: activity } = await sql<{ type: string }>`
      select distinct type from activity where contact_id = ${made}`.execute(edge.database.db);
    expect(activity.map(({ type }) => type)).toContain("message_received");
  });

  test("ends in the same conversation when the link is told first", async () => {
    const ann = await addContact("ann@example.com");
    await tell(startOf(2, ann), messageUpdate(1, { text: "Hi" }), startOf(2, ann));
    expect(await chats()).toEqual(new Map([[ann, ANN.id]]));
    expect((await edge.bubbles()).map(({ contactId }) => contactId)).toEqual([ann, ann]);
  });

  test("ends there too when both come in the same moment", async () => {
    const ann = await addContact("ann@example.com");
    await Promise.all(
      [messageUpdate(1), startOf(2, ann), messageUpdate(3), messageUpdate(4)].map((update) =>
        edge.post(update),
      ),
    );
    expect((await chats()).get(ann)).toBe(ANN.id);
    expect((await edge.bubbles()).map(({ contactId }) => contactId)).toEqual([ann, ann, ann, ann]);
  });

  test("keeps what he asked for: a chat that was unsubscribed stays so", async () => {
    await tell(messageUpdate(1, { text: "/stop" }));
    await tell(startOf(2, await addContact("ann@example.com")));
    expect(await edge.suppressions()).toEqual([{ address: String(ANN.id), reason: "unsubscribe" }]);
  });

  test("leaves behind a contact that nothing reaches", async () => {
    await tell(messageUpdate(1));
    const made = await onlyContact();
    await tell(startOf(2, await addContact("ann@example.com")));
    const { rows } = await sql<{ email: string | null; chat: number | null; made: boolean }>`
      select email, telegram_chat_id as chat, made_by_chat as made from contact where id = ${made}`.execute(
      edge.database.db,
    );
    expect(rows).toEqual([{ email: null, chat: null, made: true }]);
  });
});

describe("nothing moves", () => {
  test("to a contact that has another chat", async () => {
    const ann = await addContact("ann@example.com", 77);
    await tell(messageUpdate(1), startOf(2, ann));
    expect((await chats()).get(ann)).toBe(77);
    expect((await edge.bubbles()).filter(({ contactId }) => contactId === ann)).toEqual([]);
  });

  test("from a contact that somebody entered, or that has an email by now", async () => {
    const entered = await addContact(null, ANN.id);
    const ann = await addContact("ann@example.com");
    await tell(messageUpdate(1), startOf(2, ann));
    expect((await chats()).get(entered)).toBe(ANN.id);
    await edge.forget();
    await tell(messageUpdate(3));
    const made = await onlyContact();
    await sql`update contact set email = 'known@example.com' where id = ${made}`.execute(edge.database.db);
    await tell(startOf(4, await addContact("ann@example.com")));
    expect((await chats()).get(made)).toBe(ANN.id);
  });

  test("between customers", async () => {
    await tell(messageUpdate(1));
    const made = await onlyContact();
    const stranger = await edge.createCustomer("stranger");
    const theirs = newId();
    await sql`
      insert into contact (customer_id, id, email) values (${stranger.id}, ${theirs}, 'ann@example.com')`.execute(
      edge.database.db,
    );
    const text = `/start ${links.payloadOf({ customerId: stranger.id, contactId: theirs })}`;
    await tell(messageUpdate(2, { text }));
    expect(await chats()).toEqual(new Map([[made, ANN.id]]));
  });
});

test("of two links opened in one chat the first counts, and no chat is left without a contact", async () => {
  await tell(messageUpdate(1));
  const made = await onlyContact();
  const taken = await addContact("taken@example.com", 77);
  const ann = await addContact("ann@example.com");
  const bob = await addContact("bob@example.com");
  await Promise.all([startOf(2, taken), startOf(3, ann), startOf(4, bob)].map((update) => edge.post(update)));
  const after = await chats();
  expect([after.get(taken), after.get(made)]).toEqual([77, null]);
  expect([after.get(ann), after.get(bob)].filter((chat) => chat === ANN.id).length).toBe(1);
});
