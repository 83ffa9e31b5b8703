import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import { type CampaignApi, createCampaignApi, smtpCredential } from "../../test/support/campaign-api.ts";
import { startTelegram, type TelegramStandIn, testBotApi, testBots } from "../../test/support/telegram.ts";
import { createEgress, type Egress } from "../egress/client.ts";
import { resolveBySystem } from "../egress/resolve.ts";
import { newId } from "../events/id.ts";
import { telegramNode } from "../messages/telegram-node.ts";

const CHAT_ID = 5_823_456_789;
const BUY = "https://example.com/buy";

let telegram: TelegramStandIn;
let egress: Egress;
let api: CampaignApi;
let bot: string;
let token: string;
let smtp: string;

beforeAll(async () => {
  telegram = await startTelegram({ deliver: async () => new Response("{}") });
  egress = createEgress({ allow: ["127.0.0.1"], resolve: resolveBySystem });
  const root = { apiRoot: telegram.apiRoot, egress };
  api = await createCampaignApi({ bots: testBots(root), botApi: testBotApi(root) });
  token = telegram.addBot({ id: 7_100_000_001, username: "example_bot", name: "Example" });
  bot = (await api.ok("POST", "/credentials", { type: "telegram", name: "Bot", botToken: token })).id;
  smtp = (await api.ok("POST", "/credentials", smtpCredential())).id;
  await api.ok("POST", "/templates", { name: "page", kind: "partial", source: "<table></table>" });
});
afterAll(async () => {
  await api.close();
  await telegram.close();
  egress.close();
});
beforeEach(() => {
  telegram.calls.length = 0;
});

const nudge = (more: object = {}) => ({
  id: "nudge",
  type: "message",
  channel: "telegram",
  credentialId: bot,
  text: `Hi <b>{{ contact.attributes.firstName }}</b>, have a <a href="${BUY}">look</a>.`,
  buttons: [[{ text: "Buy", url: BUY }]],
  ...more,
});

const campaign = (node: object) => ({
  name: "Autumn",
  nodes: [node, { id: "end", type: "exit" }],
  edges: [{ id: "e1", from: "nudge", to: "end", firesWhen: "clicked", url: BUY }],
});

async function campaignOf(more: object = {}): Promise<string> {
  return (await api.ok("POST", "/campaigns", campaign(nudge(more)))).id;
}

async function contactOf(contact: object = {}): Promise<string> {
  const body = { email: `${newId()}@example.com`, attributes: { firstName: "Zoë & Co" }, ...contact };
  return (await api.ok("POST", "/contacts", body)).id;
}

async function problemsOf(node: object): Promise<unknown> {
  const answer = await api.call("POST", "/api/v1/campaigns", { body: campaign(node) });
  expect(answer.status).toBe(400);
  return answer.body.errors;
}

async function settings(campaignId: string): Promise<unknown> {
  const { rows } = await sql<{ settings: unknown }>`
    select settings from campaign_node where campaign_id = ${campaignId} and node_id = 'nudge'
    order by version desc limit 1`.execute(api.database.db);
  return rows[0]?.settings;
}

describe("a campaign with a Telegram message", () => {
  test("is saved and activated, with its templates in it, and a changed one shows", async () => {
    const source = "\n<i>{{ campaign.name }} {{ word }}</i>";
    const { id: partial } = await api.ok("POST", "/templates", {
      name: "signature",
      kind: "partial",
      source,
    });
    const id = await campaignOf({ text: 'Hi{% render "signature", word: "today" %}' });
    const active = await api.ok("POST", `/campaigns/${id}/activate`);
    expect(active).toMatchObject({ status: "active", version: 1, hasUnactivatedChanges: false });
    const { text } = telegramNode(await settings(id));
    expect(text).toContain("<i>{{ campaign.name }} {{ word }}</i>");
    expect(await api.ok("POST", `/campaigns/${id}/activate`)).toMatchObject({ version: 1 });
    await api.ok("PATCH", `/templates/${partial}`, { source: "\n<i>{{ word }}</i>" });
    expect(await api.ok("GET", `/campaigns/${id}`)).toMatchObject({ hasUnactivatedChanges: true });
  });

  test("goes through a bot, and an email through a mail server", async () => {
    expect(await problemsOf(nudge({ credentialId: smtp }))).toEqual([
      {
        field: "nodes.0.credentialId",
        reason:
          'node "nudge" has a credential of type smtp; a message by telegram needs one of type telegram',
      },
    ]);
    const email = {
      id: "nudge",
      type: "message",
      channel: "email",
      subject: "Hi",
      html: `<a href="${BUY}">x</a>`,
    };
    expect(await problemsOf({ ...email, credentialId: bot })).toEqual([
      {
        field: "nodes.0.credentialId",
        reason: 'node "nudge" has a credential of type telegram; a message by email needs one of type smtp',
      },
    ]);
    const nowhere = newId();
    expect(await problemsOf(nudge({ credentialId: nowhere }))).toEqual([
      {
        field: "nodes.0.credentialId",
        reason: `node "nudge" has a credential that does not exist: ${nowhere}`,
      },
    ]);
  });

  test.each<[string, object, string]>([
    ["text", { text: `<a href="${BUY}">x</a><hr>` }, 'the text of node "nudge" has the tag <hr>'],
    ["text", { text: "{{ nobody }}" }, 'the text of node "nudge": nobody is not available'],
    ["text", { text: '{% render "nothing" %}' }, 'the text of node "nudge": there is no template "nothing"'],
    [
      "text",
      { text: '{% render "page" %}' },
      'the text of node "nudge", with its templates, has the tag <table>',
    ],
    [
      "photo",
      { photo: "https://example.com/{{ nobody }}" },
      'the photo of node "nudge": nobody is not available',
    ],
    [
      "buttons.1.0.text",
      { buttons: [[{ text: "Buy", url: BUY }], [{ text: "{{ oops", unsubscribe: true }]] },
      'the buttons.1.0.text of node "nudge": ',
    ],
  ])("is refused for its %s in %j", async (field, more, reason) => {
    expect(await problemsOf(nudge(more))).toEqual([
      { field: `nodes.0.${field}`, reason: expect.stringContaining(reason) },
    ]);
  });
});

describe("a preview of a Telegram message", () => {
  test("shows what the contact would get, with links untracked", async () => {
    const id = await campaignOf({
      photo: "https://example.com/{{ contact.attributes.firstName | url_encode }}.png",
    });
    const body = { nodeId: "nudge", contactId: await contactOf() };
    const preview: object = await api.ok("POST", `/campaigns/${id}/preview`, body);
    expect(preview).toEqual({
      channel: "telegram",
      html: `Hi <b>Zoë &amp; Co</b>, have a <a href="${BUY}">look</a>.`,
      photo: "https://example.com/Zo%C3%AB+%26+Co.png",
      keyboard: [[{ text: "Buy", url: BUY }], [{ text: "Unsubscribe", callbackData: "edgr:unsubscribe" }]],
      silent: false,
      protectContent: false,
      warnings: [],
    });
  });

  test("is refused with the field where the contact's data do not fit", async () => {
    const id = await campaignOf({ buttons: [[{ text: "Buy", url: "{{ contact.attributes.shop }}" }]] });
    const contactId = await contactOf({ attributes: { firstName: "Ann", shop: "nowhere" } });
    const answer = await api.call("POST", `/api/v1/campaigns/${id}/preview`, {
      body: { nodeId: "nudge", contactId },
    });
    expect([answer.status, answer.body.errors]).toEqual([
      422,
      [{ field: "nodes.0.buttons.0.0.url", reason: "it is no http or https address" }],
    ]);
  });
});

test("a Telegram message without a way to unsubscribe is found by lint", async () => {
  const lint = async (more: object) => api.ok("GET", `/campaigns/${await campaignOf(more)}/lint`);
  expect(await lint({ unsubscribeButton: false })).toMatchObject({
    items: [{ nodeId: "nudge", rule: "unsubscribe-missing", severity: "warning", line: null }],
  });
  expect(await lint({})).toMatchObject({ items: [] });
});

describe("a test of a Telegram message", () => {
  const send = (id: string, body: object) =>
    api.call("POST", `/api/v1/campaigns/${id}/test-send`, { body: { nodeId: "nudge", ...body } });
  const sent = () => telegram.calls.filter(({ method }) => method === "sendMessage");

  test("goes into the chat that is given, tracked, with a button that does nothing to it", async () => {
    const answer = await send(await campaignOf(), { chatId: CHAT_ID });
    const said: object = answer.body;
    expect([answer.status, said]).toEqual([
      200,
      {
        status: "sent",
        channel: "telegram",
        chatId: CHAT_ID,
        telegramMessageId: expect.any(Number),
        warnings: [],
      },
    ]);
    const [call] = sent();
    expect(call?.params).toMatchObject({
      chat_id: CHAT_ID,
      parse_mode: "HTML",
      text: expect.stringContaining("https://edgr.example.com/api/tracking/click?t="),
      reply_markup: {
        inline_keyboard: [[{ text: "Buy" }], [{ text: "Unsubscribe", callback_data: "edgr:test" }]],
      },
    });
  });

  test("goes into the contact's chat without one, with the contact's data", async () => {
    const contactId = await contactOf({ telegramChatId: CHAT_ID + 1 });
    expect((await send(await campaignOf(), { contactId })).body).toMatchObject({ chatId: CHAT_ID + 1 });
    expect(sent()[0]?.params.text).toStartWith("Hi <b>Zoë &amp; Co</b>");
  });

  test("needs a chat, and takes no email address", async () => {
    const id = await campaignOf();
    expect((await send(id, {})).body.errors).toEqual([
      { field: "chatId", reason: "is required, or a contactId whose contact has a chat" },
    ]);
    expect((await send(id, { to: "ann@example.com" })).body.errors).toEqual([
      { field: "to", reason: "is for emails: a Telegram message goes to chatId" },
    ]);
    expect(sent()).toEqual([]);
  });

  test("goes into no chat that is suppressed", async () => {
    await sql`
      insert into suppression (customer_id, channel, address, reason)
      values (${api.customer.id}, 'telegram', ${String(CHAT_ID + 2)}, 'unsubscribe')`.execute(
      api.database.db,
    );
    expect((await send(await campaignOf(), { chatId: CHAT_ID + 2 })).body.errors).toEqual([
      { field: "chatId", reason: "is suppressed: unsubscribe" },
    ]);
    expect(sent()).toEqual([]);
  });

  test.each([
    [403, "Forbidden: bot was blocked by the user", "chatId"],
    [400, "Bad Request: can't parse entities: oh", "nodes.0"],
    [400, "Bad Request: BUTTON_URL_INVALID", "nodes.0"],
    [401, "Unauthorized", "nodes.0.credentialId"],
    [500, "Internal Server Error", "nodes.0.credentialId"],
  ])("that Telegram answers with %i %p names what is to blame", async (code, description, field) => {
    telegram.failNext("sendMessage", { code, description });
    const answer = await send(await campaignOf(), { chatId: CHAT_ID });
    expect([answer.status, answer.body.errors]).toEqual([422, [{ field, reason: description }]]);
    expect(answer.text).not.toContain(token);
  });

  test("of an email still needs an address", async () => {
    const node = {
      id: "nudge",
      type: "message",
      channel: "email",
      credentialId: smtp,
      subject: "Hi",
      html: `<a href="${BUY}">x</a>`,
    };
    const { id } = await api.ok("POST", "/campaigns", campaign(node));
    expect((await send(id, { chatId: CHAT_ID })).body.errors).toEqual([
      { field: "to", reason: "is required" },
    ]);
  });
});
