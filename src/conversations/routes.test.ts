import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import { createInbox, type Inbox } from "../../test/support/conversations.ts";
import { ANN, messageUpdate } from "../../test/support/telegram-edge.ts";
import { newId } from "../events/id.ts";

const BEGIN = 1_790_000_000;

let inbox: Inbox;

beforeAll(async () => {
  inbox = await createInbox();
});
afterAll(() => inbox.close());
beforeEach(() => inbox.forget());

async function write(number: number, text: string, id: number = ANN.id): Promise<void> {
  const from = { ...ANN, id };
  const message = { text, date: BEGIN + number, from, chat: { id, type: "private" } };
  expect((await inbox.post(messageUpdate(number, message))).status).toBe(200);
  await inbox.project();
}

const list = async (query = "") => (await inbox.ok("GET", `/conversations${query}`)).items;
const ids = async (query = "") => (await list(query)).map(({ id }) => id);

async function onlyOne() {
  const [conversation, other] = await list();
  if (conversation === undefined || other !== undefined) throw new Error("there is not one conversation");
  return conversation;
}

describe("the list of conversations", () => {
  test("is empty where nobody wrote, though there are contacts", async () => {
    const id = await inbox.addContact({ email: "ann@example.com" });
    expect((await inbox.ok("GET", "/conversations")).items).toEqual([]);
    expect(await inbox.ok("GET", `/conversations/${id}`)).toMatchObject({
      id,
      status: "open",
      unread: 0,
      assignee: null,
      lastMessage: null,
    });
    expect((await inbox.ok("GET", `/conversations/${id}/messages`)).items).toEqual([]);
  });

  test("shows who wrote, what last and how much is unread", async () => {
    await write(1, "Hi");
    await write(2, "Are you there?");
    expect(await onlyOne()).toMatchObject({
      contact: { telegramChatId: ANN.id, name: "Ann Voter", email: null },
      status: "open",
      unread: 2,
      lastMessage: { text: "Are you there?", direction: "inbound", channel: "telegram", status: "received" },
    });
  });

  test("brings the one with the newest message to the top, page by page", async () => {
    for (const [number, id] of [101, 102, 103, 104, 105].entries()) await write(number + 1, "Hi", id);
    await write(10, "Again", 102);
    const order = [102, 105, 104, 103, 101];
    const seen: unknown[] = [];
    let cursor = "";
    do {
      const page = await inbox.ok("GET", `/conversations?limit=2${cursor}`);
      seen.push(...page.items.map(({ contact }) => contact));
      cursor = page.nextCursor === null ? "" : `&cursor=${page.nextCursor}`;
    } while (cursor !== "");
    expect(seen).toEqual(order.map((telegramChatId) => expect.objectContaining({ telegramChatId })));
  });

  test("can be asked for a status, an assignee, nobody, unread ones and a channel, also together", async () => {
    await write(1, "Hi", 101);
    await write(2, "Hi", 102);
    const mail = await inbox.addContact({ email: "ann@example.com" });
    await inbox.receiveMail(mail, { at: new Date((BEGIN + 3) * 1000) });
    await inbox.project();
    const [first, second, third] = await ids();
    expect(first).toBe(mail);
    await inbox.ok("PATCH", `/conversations/${second}`, { status: "closed", assignee: "Maria" });
    await inbox.ok("POST", `/conversations/${third}/read`);
    expect(await ids("?status=open")).toEqual([mail, String(third)]);
    expect(await ids("?status=closed")).toEqual([String(second)]);
    expect(await ids("?assignee=Maria")).toEqual([String(second)]);
    expect(await ids("?unassigned=true")).toEqual([mail, String(third)]);
    expect(await ids("?unread=true")).toEqual([mail, String(second)]);
    expect(await ids("?channel=telegram")).toEqual([String(second), String(third)]);
    expect(await ids("?channel=telegram&unread=true&status=closed&assignee=Maria")).toEqual([String(second)]);
    expect(await ids("?channel=email&status=closed")).toEqual([]);
  });

  test.each([
    ["status=gone", "status"],
    ["unread=yes", "unread"],
    ["cursor=1.AZ", "cursor"],
    ["cursor=%00", "cursor"],
    ["assignee=Maria&unassigned=true", "unassigned"],
  ])("refuses %s and says which it is", async (query, field) => {
    const answer = await inbox.ask("GET", `/conversations?${query}`);
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([400, field]);
  });

  test("has nothing of another customer", async () => {
    await write(1, "Hi");
    const { id } = await onlyOne();
    const thief = await inbox.createCustomer(newId());
    const call = (method: string, path: string, body?: object) =>
      inbox.call(method, `/api/v1/conversations${path}`, { body, customer: thief });
    expect((await call("GET", "")).body.items).toEqual([]);
    expect((await call("POST", "/bulk", { ids: [id], status: "closed", read: true })).body.changed).toBe(0);
    expect(await onlyOne()).toMatchObject({ status: "open", unread: 1 });
  });
});

describe("a conversation", () => {
  test("is closed and assigned, and opens again when the person writes", async () => {
    await write(1, "Hi");
    const { id } = await onlyOne();
    const closed = await inbox.ok("PATCH", `/conversations/${id}`, { status: "closed", assignee: "Maria" });
    expect(closed).toMatchObject({ status: "closed", assignee: "Maria" });
    expect(await inbox.ok("PATCH", `/conversations/${id}`, {})).toEqual(closed);
    await write(2, "One more thing");
    expect(await onlyOne()).toMatchObject({ status: "open", assignee: "Maria" });
    expect(await inbox.ok("PATCH", `/conversations/${id}`, { assignee: null })).toMatchObject({
      assignee: null,
    });
  });

  test("stays closed when what was read before is projected only then", async () => {
    await write(1, "Hi");
    const { id } = await onlyOne();
    await inbox.post(messageUpdate(2, { text: "Never mind", date: BEGIN + 2 }));
    expect((await inbox.ok("GET", `/conversations/${id}/messages`)).items[0]).toMatchObject({
      text: "Never mind",
    });
    await inbox.ok("POST", `/conversations/${id}/read`);
    await inbox.ok("PATCH", `/conversations/${id}`, { status: "closed" });
    await inbox.project();
    expect(await onlyOne()).toMatchObject({
      status: "closed",
      unread: 0,
      lastMessage: { text: "Never mind" },
    });
  });

  test("is read up to the message that was seen, and stays read", async () => {
    for (const number of [1, 2, 3]) await write(number, `number ${number}`);
    const { id } = await onlyOne();
    const [third, second] = (await inbox.ok("GET", `/conversations/${id}/messages`)).items;
    const read = (body?: object) => inbox.ok("POST", `/conversations/${id}/read`, body);
    expect(await read({ messageId: second?.id })).toMatchObject({ unread: 1 });
    expect(await read()).toMatchObject({ unread: 0 });
    expect(await read({ messageId: third?.id })).toMatchObject({ unread: 0 });
    expect(await inbox.ok("POST", `/conversations/${id}/unread`)).toMatchObject({ unread: 1 });
    await write(4, "number 4");
    expect(await onlyOne()).toMatchObject({ unread: 2 });
    expect(await inbox.ok("POST", `/conversations/${id}/unread`)).toMatchObject({ unread: 2 });
  });

  test("takes no other conversation's message as seen", async () => {
    await write(1, "Hi");
    const { id } = await onlyOne();
    const answer = await inbox.ask("POST", `/conversations/${id}/read`, { messageId: newId() });
    expect([answer.status, answer.body.errors[0]?.field]).toEqual([422, "messageId"]);
  });

  test("is neither opened nor unread for a machine's answer, which is shown", async () => {
    const id = await inbox.addContact({ email: "ann@example.com" });
    await inbox.receiveMail(id, { kind: "auto_reply", text: "I am away." });
    await inbox.project();
    expect(await list()).toEqual([]);
    await inbox.receiveMail(id, { text: "I am back." });
    await inbox.project();
    expect(await onlyOne()).toMatchObject({ unread: 1, lastMessage: { text: "I am back." } });
    const { items } = await inbox.ok("GET", `/conversations/${id}/messages`);
    expect(items).toMatchObject([{ isAutomatic: false }, { isAutomatic: true, text: "I am away." }]);
  });

  test("goes with its contact", async () => {
    await write(1, "Hi");
    const { id } = await onlyOne();
    await inbox.ok("DELETE", `/contacts/${id}`);
    expect(await list()).toEqual([]);
    for (const path of ["", "/messages"])
      expect((await inbox.ask("GET", `/conversations/${id}${path}`)).status).toBe(404);
    expect((await inbox.ask("POST", `/conversations/${id}/messages`, { text: "Hi" })).status).toBe(404);
  });

  test("does not come back when what the deleted contact wrote is projected late", async () => {
    await inbox.post(messageUpdate(1));
    const [contact] = await inbox.contacts();
    await inbox.ok("DELETE", `/contacts/${contact?.id}`);
    await inbox.project();
    expect(await list()).toEqual([]);
  });

  test("counts a flood up to a thousand", async () => {
    const id = await inbox.addContact({ telegramChatId: ANN.id });
    await sql`
      insert into message (customer_id, id, direction, channel, contact_id, credential_id, to_address, status, sent_at)
      select ${inbox.customer.id}, new_id(), 'inbound', 'telegram', ${id}, ${inbox.credentialId}, '', 'received', now()
      from generate_series(1, 1500)`.execute(inbox.database.db);
    await write(1, "one more");
    expect(await onlyOne()).toMatchObject({ unread: 1000 });
  });
});

test("many are closed, assigned and read at once; those that are not there are passed over", async () => {
  for (const [number, id] of [101, 102, 103].entries()) await write(number + 1, "Hi", id);
  const [third, second, first] = await ids();
  const body = { ids: [first, second, newId()], status: "closed", assignee: "Maria", read: true };
  expect(await inbox.ok("POST", "/conversations/bulk", body)).toMatchObject({ changed: 2 });
  expect(await list("?status=closed")).toMatchObject([
    { id: second, assignee: "Maria", unread: 0 },
    { id: first, assignee: "Maria", unread: 0 },
  ]);
  expect(await list("?status=open")).toMatchObject([{ id: third, assignee: null, unread: 1 }]);
});
