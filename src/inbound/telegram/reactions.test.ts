import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { sql } from "kysely";
import { sendInTelegram } from "../../../test/support/telegram-campaign.ts";
import {
  ANN,
  createTelegramEdge,
  messageUpdate,
  reactionUpdate,
  type TelegramEdge,
} from "../../../test/support/telegram-edge.ts";
import { newId } from "../../events/id.ts";

const GROUP = { id: -1_001_987_654_321, type: "supergroup" };
const AT = 1_790_000_100;

let edge: TelegramEdge;

beforeAll(async () => {
  edge = await createTelegramEdge();
});
afterAll(() => edge.close());
beforeEach(() => edge.forget());

async function tell(...updates: object[]): Promise<void> {
  for (const update of updates) expect((await edge.post(update)).status).toBe(200);
  await edge.project();
}

async function addContact(chatId: number): Promise<string> {
  const id = newId();
  await sql`
    insert into contact (customer_id, id, email, telegram_chat_id)
    values (${edge.customer.id}, ${id}, 'ann@example.com', ${chatId})`.execute(edge.database.db);
  return id;
}

const reacted = async () => (await edge.events()).filter(({ type }) => type === "message_reacted");

async function activities(contactId: string | null) {
  const { rows } = await sql<{ type: string; runId: string | null; nodeId: string | null }>`
    select type, run_id as "runId", node_id as "nodeId" from activity where contact_id = ${contactId}
    order by id`.execute(edge.database.db);
  return rows;
}

test("a reaction to what somebody wrote is kept with it, and is in his activity", async () => {
  await tell(messageUpdate(1), reactionUpdate(2, 1, ["👍", "🔥"]));
  expect(await edge.reactions()).toEqual([
    { telegramMessageId: 1, fromId: ANN.id, reactions: ["👍", "🔥"], at: new Date(AT * 1_000) },
  ]);
  const [bubble] = await edge.bubbles();
  expect(await reacted()).toMatchObject([
    {
      at: new Date(AT * 1_000),
      contactId: bubble?.contactId ?? "",
      messageId: bubble?.messageId ?? "",
      campaignId: null,
      runId: null,
      data: { channel: "telegram", chatId: ANN.id, telegramMessageId: 1, reactions: ["👍", "🔥"] },
    },
  ]);
  expect((await activities(bubble?.contactId ?? null)).map(({ type }) => type)).toEqual([
    "message_received",
    "message_reacted",
  ]);
});

test("a reaction to a campaign's message is the run's, and no answer", async () => {
  const contactId = await addContact(ANN.id);
  const sentAt = new Date((AT - 60) * 1_000);
  const sent = await sendInTelegram(edge, { contactId, chatId: ANN.id, number: 500, sentAt });
  await tell(reactionUpdate(1, 500, ["❤"]));
  const { campaignId, runId, messageId } = sent;
  expect(await reacted()).toMatchObject([{ campaignId, runId, messageId, contactId }]);
  const { rows } = await sql`
    select r.output ? 'replied' as replied, (
      select total::int from counter c where c.campaign_id = r.campaign_id and c.type = 'message_reacted') as counted
    from node_run r where r.id = ${runId}`.execute(edge.database.db);
  expect(rows).toEqual([{ replied: false, counted: 1 }]);
  expect((await activities(contactId)).at(-1)).toEqual({ type: "message_reacted", runId, nodeId: "hello" });
});

test("the newest reactions count, in whatever order they are told; in one second, those with the higher number", async () => {
  const later = { date: AT + 10 };
  await tell(messageUpdate(1), reactionUpdate(3, 1, [], later), reactionUpdate(2, 1, ["👍"]));
  expect(await edge.reactions()).toMatchObject([{ reactions: [], at: new Date((AT + 10) * 1_000) }]);
  await tell(reactionUpdate(6, 1, ["🎉"], later), reactionUpdate(5, 1, ["👎"], later));
  expect(await edge.reactions()).toMatchObject([{ reactions: ["🎉"] }]);
  expect((await reacted()).length).toBe(4);
});

test("everybody's reactions are his own, and a channel's its own", async () => {
  await addContact(GROUP.id);
  const bob = { user: { id: 77, is_bot: false, first_name: "Bob" } };
  const channel = { user: undefined, actor_chat: { id: -100_777, type: "channel" } };
  await tell(
    messageUpdate(1, { chat: GROUP }),
    reactionUpdate(2, 1, ["👍"], { chat: GROUP }),
    reactionUpdate(3, 1, ["👎"], { chat: GROUP, ...bob }),
    reactionUpdate(4, 1, ["🔥"], { chat: GROUP, ...channel }),
  );
  expect((await edge.reactions()).map(({ fromId, reactions }) => [fromId, reactions])).toEqual([
    [-100_777, ["🔥"]],
    [77, ["👎"]],
    [ANN.id, ["👍"]],
  ]);
});

test("one that comes before its message waits for it, and is told once", async () => {
  await tell(reactionUpdate(2, 1, ["👍"]), reactionUpdate(2, 1, ["👍"]));
  expect(await edge.kept()).toMatchObject([{ updateId: "2", status: "waiting", reason: null }]);
  expect(await edge.matchWaiting()).toEqual({ taken: 1, matched: 0 });
  await tell(messageUpdate(1));
  expect(await edge.matchWaiting()).toEqual({ taken: 1, matched: 1 });
  expect(await edge.matchWaiting()).toEqual({ taken: 0, matched: 0 });
  expect(await edge.reactions()).toMatchObject([{ telegramMessageId: 1, reactions: ["👍"] }]);
  expect((await reacted()).length).toBe(1);
  expect(await edge.kept()).toMatchObject([{ status: "matched" }]);
});

test("one whose message does not come within a day stays unmatched", async () => {
  await tell(reactionUpdate(2, 1, ["👍"]));
  await sql`update inbound_event set received_at = now() - interval '25 hours'`.execute(edge.database.db);
  expect(await edge.matchWaiting()).toEqual({ taken: 1, matched: 0 });
  expect(await edge.kept()).toMatchObject([{ status: "unmatched", reason: "no message of yours fits it" }]);
});

test("one in a group that is no contact, or of nobody, is kept at once for what it is", async () => {
  await tell(
    reactionUpdate(1, 1, ["👍"], { chat: GROUP }),
    reactionUpdate(2, 1, ["👍"], { user: undefined }),
  );
  expect((await edge.kept()).map(({ status, reason }) => [status, reason])).toEqual([
    ["unmatched", "no contact of yours has this chat"],
    ["ignored", "EDGR does nothing with updates of this kind"],
  ]);
});

test("another customer's bot does not react to messages of this one", async () => {
  await tell(messageUpdate(1));
  const stranger = await edge.createCustomer("stranger");
  const credentialId = await edge.createBot(edge.botId, stranger.id);
  expect((await edge.post(reactionUpdate(2, 1, ["👍"]), { credentialId })).status).toBe(200);
  expect([await edge.reactions(), await reacted()]).toEqual([[], []]);
});
