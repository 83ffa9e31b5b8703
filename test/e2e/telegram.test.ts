import { afterEach, beforeEach, expect, test } from "bun:test";
import { Api, Bot, type Context, GrammyError, webhookCallback } from "grammy";
import type { z } from "zod";
import type { conversationMessage } from "../../src/conversations/conversation-schema.ts";
import { UNSUBSCRIBE_CALLBACK } from "../../src/telegram/callback.ts";
import { createDatabase, TEMPLATE } from "../support/database.ts";
import { until, useInstallation } from "../support/installation.ts";
import { startTelegram, type TelegramStandIn } from "../support/telegram.ts";
import { type BotEdgr, connectBot, type OpenApi } from "../support/telegram-client.ts";
import { type BotMessage, createTelegramMessages } from "../support/telegram-messages.ts";

const ANN = { id: 5_815_162_342, is_bot: false, first_name: "Ann", username: "ann_v" };
const CHAT = { id: ANN.id, type: "private", first_name: ANN.first_name } as const;
const BOT = { id: 7_200_000_001, username: "acme_news_bot", name: "Acme News" };
const PHOTO = "https://shop.example.com/shoes.jpg";
const SHOP = "https://shop.example.com/?a=1&b=2";
const HTML = `👋 Hi <b>Ann &amp; <i>all</i></b>, <a href="${SHOP.replace("&", "&amp;")}">look</a>: <code>1 &lt; 2</code>`;
const NO_PREVIEW = { is_disabled: true };

type ConversationMessage = z.infer<typeof conversationMessage>;

const installation = useInstallation();

let messages: ReturnType<typeof createTelegramMessages>;
let telegram: TelegramStandIn;
let token: string;
/** What each update came to: at grammY, and what both answered Telegram. */
let told: { ctx: Context | null; edgr: unknown; grammy: unknown }[];
/** grammY's webhook, when there is one beside EDGR's. */
let grammy: ((request: Request) => Promise<Response>) | null;
let ctx: Context | null;

beforeEach(async () => {
  messages = createTelegramMessages();
  told = [];
  grammy = null;
  telegram = await startTelegram({
    isLocal: true,
    onSend: messages.onSend,
    async deliver(url, init) {
      const response = await fetch(url, init);
      if (grammy === null || !response.ok) return response;
      ctx = null;
      const other = await grammy(new Request(url, init));
      expect(other.status).toBe(200);
      const edgr = await response.clone().text();
      told.push({ ctx, edgr: JSON.parse(edgr), grammy: JSON.parse((await other.text()) || "{}") });
      return response;
    },
  });
  token = telegram.addBot(BOT);
});

afterEach(() => telegram.close());

async function connect(): Promise<BotEdgr> {
  const edgr = await connectBot(installation, telegram, {
    name: "edgr",
    databaseUrl: await createDatabase(TEMPLATE),
    botToken: token,
  });
  const client = {
    apiRoot: telegram.apiRoot,
    canUseWebhookReply: (method: string) => method === "answerCallbackQuery",
  };
  const bot = new Bot(token, { client, botInfo: await grammyApi().getMe() });
  bot.use((context, next) => {
    ctx = context;
    return next();
  });
  bot.on("callback_query", (context) =>
    context.callbackQuery.data === UNSUBSCRIBE_CALLBACK
      ? context.answerCallbackQuery({ text: "You are unsubscribed." })
      : context.answerCallbackQuery(),
  );
  grammy = webhookCallback(bot, "std/http", { secretToken: edgr.webhook.secret });
  return edgr;
}

const grammyApi = () => new Api(token, { apiRoot: telegram.apiRoot });

test("grammY understands what the stand-in answers, errors too", async () => {
  const { webhook, credentialId } = await connect();
  const api = grammyApi();
  expect(await api.getMe()).toMatchObject({ id: BOT.id, is_bot: true, username: BOT.username });
  const info = await api.getWebhookInfo();
  expect(info).toMatchObject({ url: webhook.url, pending_update_count: 0 });
  expect(webhook.url).toEndWith(`/api/telegram/webhook/${credentialId}`);
  expect(info.allowed_updates).toContain("message_reaction");
  expect(await api.setWebhook(webhook.url, { secret_token: webhook.secret })).toBe(true);
  telegram.setFile(token, "abc", { path: "photos/file_1.jpg", bytes: Buffer.from("a picture") });
  expect(await api.getFile("abc")).toMatchObject({
    file_id: "abc",
    file_path: "photos/file_1.jpg",
    file_size: 9,
  });
  telegram.push(token, { callback_query: { id: "77", from: ANN, chat_instance: "1", data: "x" } });
  await telegram.idle();

  const refusal = (call: Promise<unknown>) =>
    call.then(
      () => null,
      (error) =>
        error instanceof GrammyError ? [error.error_code, error.description, error.parameters] : error,
    );
  const send = (text: string) => refusal(api.sendMessage(ANN.id, text, { parse_mode: "HTML" }));
  expect(await refusal(api.answerCallbackQuery("77"))).toEqual([400, expect.stringContaining("too old"), {}]);
  expect(await send("")).toEqual([400, "Bad Request: message text is empty", {}]);
  expect(await send("x".repeat(4097))).toEqual([400, "Bad Request: message is too long", {}]);
  for (const broken of ["<b>x", "x</b>", "<b><i>x</b></i>", "<p>x</p>", "1 < 2"])
    expect(await send(broken)).toEqual([400, expect.stringContaining("can't parse entities"), {}]);
  expect(await refusal(api.sendPhoto(ANN.id, "nothing"))).toEqual([
    400,
    expect.stringContaining("wrong file"),
    {},
  ]);
  telegram.answerChat(ANN.id, { code: 403, description: "Forbidden: bot was blocked by the user" });
  expect(await send("x")).toEqual([403, "Forbidden: bot was blocked by the user", {}]);
  const parameters = { migrate_to_chat_id: -1_001_234_567_890 };
  telegram.answerChat(ANN.id, { code: 400, description: "Bad Request: group chat was upgraded", parameters });
  expect(await send("x")).toEqual([400, expect.any(String), parameters]);
  telegram.answerChat(ANN.id, null);
  const late = { code: 429, description: "Too Many Requests: retry after 7", parameters: { retry_after: 7 } };
  telegram.failNext("sendMessage", late);
  expect(await send("x")).toEqual([429, late.description, late.parameters]);
  expect(await send("x")).toBeNull();
}, 120_000);

test("what EDGR sends is what grammY sends", async () => {
  const { api, credentialId } = await connect();
  const contact = await api.ok("POST", "/contacts", {
    telegramChatId: ANN.id,
    attributes: { firstName: "Ann" },
  });
  const buttons = [
    [
      { text: "Shop", url: SHOP },
      { text: "Twice", url: SHOP },
    ],
    [{ text: "Stop", unsubscribe: true }],
  ];
  const text = HTML.replace("Ann", "{{ contact.attributes.firstName }}");
  const node = { channel: "telegram", credentialId, text, buttons, silent: true, protectContent: true };
  const keyboard = [
    [
      { text: "Shop", url: SHOP },
      { text: "Twice", url: SHOP },
    ],
    [{ text: "Stop", callback_data: UNSUBSCRIBE_CALLBACK }],
  ];
  const options = { parse_mode: "HTML", disable_notification: true, protect_content: true } as const;
  const markup = { reply_markup: { inline_keyboard: keyboard } };

  const said = await campaign(api, node, contact.id);
  const sent = await grammyApi().sendMessage(ANN.id, HTML, {
    ...options,
    ...markup,
    link_preview_options: NO_PREVIEW,
  });
  expect(sent.text).toBe("👋 Hi Ann & all, look: 1 < 2");
  expect(sent.entities?.map(({ type, offset, length }) => [type, offset, length])).toEqual([
    ["bold", 6, 9],
    ["italic", 12, 3],
    ["text_link", 17, 4],
    ["code", 23, 5],
  ]);
  await expectEqual(said);

  const shown = await campaign(api, { ...node, photo: PHOTO }, contact.id);
  const photo = await grammyApi().sendPhoto(ANN.id, PHOTO, { ...options, ...markup, caption: HTML });
  expect([photo.caption, photo.photo.length]).toEqual([sent.text ?? "", 1]);
  await expectEqual(shown);

  const question = { message_id: 41, from: ANN, chat: CHAT, date: now(), text: "Is 1 < 2?" };
  messages.hear(ANN.id, 41);
  telegram.push(token, { message: question });
  await telegram.idle();
  const asked = await find(api, contact.id, question.text);
  const reply = { text: "Yes: 1 < 2 & <b>that</b> is it", replyToMessageId: asked?.id };
  const answered = messages.sent.length;
  await api.ok("POST", `/conversations/${contact.id}/messages`, reply);
  await until(async () => messages.sent.length > answered);
  await grammyApi().sendMessage(ANN.id, "Yes: 1 &lt; 2 &amp; &lt;b&gt;that&lt;/b&gt; is it", {
    parse_mode: "HTML",
    link_preview_options: NO_PREVIEW,
    reply_parameters: { message_id: 41, allow_sending_without_reply: true },
  });
  expect(await expectEqual(answered)).toMatchObject({
    text: reply.text,
    reply_to_message: { message_id: 41 },
  });
}, 120_000);

/** The message of EDGR's at this place and grammY's after it are the same, at Telegram and on the way to it. */
async function expectEqual(place: number): Promise<BotMessage | undefined> {
  const calls = telegram.calls.filter(({ method }) => /^send/.test(method)).slice(-2);
  const [ours, theirs] = messages.sent.slice(place, place + 2).map(({ message }) => message);
  expect(messages.sent.length).toBe(place + 2);
  const { message_id: _, date: __, ...other } = theirs ?? {};
  expect(await unwrapLinks(ours)).toEqual(expect.objectContaining(other));
  expect(Object.keys(ours ?? {}).sort()).toEqual(Object.keys(theirs ?? {}).sort());
  // What these say is in the messages; how they say it may differ.
  const [first, second] = calls.map(({ method, params: { text, caption, reply_markup, ...params } }) => {
    return { method, params, has: [text, caption, reply_markup].map((param) => param !== undefined) };
  });
  expect(first).toEqual(second);
  return ours;
}

/** With the addresses that its links lead to, instead of those that EDGR counts them by. */
async function unwrapLinks(message: BotMessage | undefined): Promise<unknown> {
  let text = JSON.stringify(message);
  for (const [link] of text.matchAll(/http:\/\/localhost:[^"\\]+/g)) {
    const { status, headers } = await fetch(link, { redirect: "manual", headers: BROWSER });
    expect(status).toBe(302);
    text = text.replace(link, headers.get("Location") ?? "");
  }
  return JSON.parse(text);
}

const BROWSER = { "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0" };

test("a conversation goes both ways, and EDGR shows of it what grammY sees", async () => {
  const { api, credentialId } = await connect();
  const person = await api.ok("POST", "/contacts", { email: "ann@example.com" });
  const [link] = (await api.ok("GET", `/contacts/${person.id}/telegram-link`)).items;
  const payload = new URL(link.url).searchParams.get("start");
  const entities = [{ type: "bot_command", offset: 0, length: 6 }];
  await hear({ message: said(11, `/start ${payload}`, { entities }) });
  expect((await api.ok("GET", `/contacts/${person.id}`)).telegramChatId).toBe(seen().chat?.id);

  const text = "👋 I'd like a big one";
  await hear({ message: said(12, text, { entities: [{ type: "bold", offset: 14, length: 3 }] }) });
  const asked = await find(api, person.id, text);
  expect(asked).toMatchObject({ direction: "inbound", channel: "telegram", text: seen().message?.text });
  expect(boldIn(asked?.html ?? "")).toEqual(
    seen()
      .entities("bold")
      .map((entity) => entity.text),
  );
  expect(asked?.at).toBe(new Date((seen().message?.date ?? 0) * 1_000).toISOString());
  const message = await api.ok("GET", `/messages/${asked?.id}`);
  expect(message.telegram).toMatchObject({
    fromId: seen().from?.id,
    chatId: seen().chat?.id,
  });
  const unread = async () => (await api.ok("GET", "/conversations?unread=true")).items;
  await until(async () => (await unread())[0]?.lastMessage.text === text);
  expect(await unread()).toMatchObject([{ id: person.id, unread: 2, lastMessage: { channel: "telegram" } }]);

  const reply = await api.ok("POST", `/conversations/${person.id}/messages`, { text: "Which colour?" });
  await until(async () => messages.sent.length === 1);
  const number = messages.sent[0]?.message.message_id ?? 0;
  expect(messages.sent[0]?.message).toMatchObject({ text: "Which colour?", chat: { id: ANN.id } });
  await until(async () => (await find(api, person.id, reply.text))?.status === "delivered");

  const replied = { message_id: number, chat: CHAT, date: now(), text: "Which colour?" };
  await hear({ message: said(13, "Red", { reply_to_message: replied }) });
  expect(await find(api, person.id, "Red")).toMatchObject({
    text: seen().message?.text,
    replyToMessageId: reply.id,
  });

  await hear({
    message_reaction: {
      chat: CHAT,
      message_id: number,
      user: ANN,
      date: now(),
      old_reaction: [],
      new_reaction: [{ type: "emoji", emoji: "👍" }],
    },
  });
  const { emojiAdded } = seen().reactions();
  expect(await find(api, person.id, reply.text)).toMatchObject({
    reactions: [{ fromId: seen().messageReaction?.user?.id, reactions: emojiAdded }],
  });

  const at = now() + 1;
  await hear({ edited_message: { ...said(13, "Blue"), edit_date: at } });
  expect(await find(api, person.id, "Blue")).toMatchObject({
    text: seen().editedMessage?.text,
    editedAt: new Date((seen().editedMessage?.edit_date ?? 0) * 1_000).toISOString(),
  });

  const node = { channel: "telegram", credentialId, text: "News!", buttons: [] };
  const news = messages.sent[await campaign(api, node, person.id)]?.message;
  const button = news?.reply_markup?.inline_keyboard.flat()[0];
  for (const [id, data] of [
    ["9001", "something else"],
    ["9002", button?.callback_data ?? ""],
  ] as const)
    await hear({
      callback_query: { id, from: ANN, chat_instance: "1", message: { ...news, chat: CHAT }, data },
    });
  expect(seen().callbackQuery?.data).toBe(button?.callback_data);
  for (const { edgr, grammy: other } of told.slice(-2)) expect(edgr).toEqual(other);
  expect(told.at(-1)?.edgr).toEqual({
    method: "answerCallbackQuery",
    callback_query_id: "9002",
    text: "You are unsubscribed.",
  });
  expect(telegram.buttonAnswers.map(({ queryId }) => queryId)).toEqual(["9001", "9002"]);
  expect(await reasons(api)).toEqual(["unsubscribe"]);
  await api.ok("POST", `/conversations/${person.id}/messages`, { text: "Blue is sold out." });
  await until(async () => messages.sent.length === 3);

  await hear({ my_chat_member: standing("kicked") });
  expect(seen().myChatMember?.new_chat_member.status).toBe("kicked");
  await until(async () => (await reasons(api)).includes("blocked"));
  const refused = await api.call("POST", `/conversations/${person.id}/messages`, { text: "Hello?" });
  expect([refused.status, refused.body.detail]).toEqual([409, expect.stringContaining("blocked")]);
  await hear({ my_chat_member: standing("member") });
  await until(async () => !(await reasons(api)).includes("blocked"));
  expect(await reasons(api)).toEqual(["unsubscribe"]);
  expect(told.filter(({ ctx: each }) => each !== null).length).toBe(told.length);
}, 120_000);

async function hear(update: object): Promise<void> {
  const before = told.length;
  telegram.push(token, update);
  await telegram.idle();
  expect(told.length).toBe(before + 1);
}

/** What grammY made of the last update. */
function seen(): Context {
  const context = told.at(-1)?.ctx ?? null;
  if (context === null) throw new Error("grammY has seen nothing");
  return context;
}

function said(number: number, text: string, more: object = {}): object {
  messages.hear(ANN.id, number);
  return { message_id: number, from: ANN, chat: CHAT, date: now(), text, ...more };
}

function standing(status: string): object {
  const user = { id: BOT.id, is_bot: true, first_name: BOT.name };
  const old = status === "kicked" ? "member" : "kicked";
  // Of one second, that he is back counts; here he comes back later.
  const date = now() + (status === "kicked" ? 0 : 5);
  const members = { old_chat_member: { status: old, user }, new_chat_member: { status, user } };
  return { chat: CHAT, from: ANN, date, ...members };
}

/** Sends a campaign of one message to one contact. @returns its place among what was sent */
async function campaign(api: OpenApi, node: object, contactId: string): Promise<number> {
  const place = messages.sent.length;
  const nodes = [{ id: "hello", type: "message", ...node }];
  const { id } = await api.ok("POST", "/campaigns", { name: "News", nodes, edges: [] });
  await api.ok("POST", `/campaigns/${id}/activate`);
  await api.ok("POST", `/campaigns/${id}/enroll`, { contactIds: [contactId] });
  await until(async () => messages.sent.length > place);
  return place;
}

/** Not by its place: what is of the second in which something was sent stands before it, for Telegram tells no less. */
async function find(api: OpenApi, contactId: string, text: string): Promise<ConversationMessage | undefined> {
  const { items }: { items: ConversationMessage[] } = await api.ok(
    "GET",
    `/conversations/${contactId}/messages`,
  );
  return items.find((message) => message.text === text);
}

async function reasons(api: OpenApi): Promise<string[]> {
  const { items }: { items: { address: string; reason: string }[] } = await api.ok("GET", "/suppressions");
  expect(items.every(({ address }) => address === String(ANN.id))).toBe(true);
  return items.map(({ reason }) => reason).sort();
}

const boldIn = (html: string) => [...html.matchAll(/<b>(.*?)<\/b>/g)].map(([, inner]) => inner);

const now = () => Math.floor(Date.now() / 1_000);
