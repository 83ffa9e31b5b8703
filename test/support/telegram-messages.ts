import type { Answer, BotApiCall } from "./telegram.ts";

/** A message as the Bot API gives it; `text` and so on are where there are any. */
export type BotMessage = {
  message_id: number;
  from: object;
  chat: { id: number; type: string };
  date: number;
  text?: string;
  caption?: string;
  entities?: Entity[];
  caption_entities?: Entity[];
  photo?: object[];
  reply_to_message?: { message_id: number };
  reply_markup?: { inline_keyboard: Button[][] };
  link_preview_options?: object;
  has_protected_content?: true;
};

export type Button = { text: string; url?: string; callback_data?: string };

export type Entity = { type: string; offset: number; length: number; url?: string };

type Params = { [name: string]: unknown };
type Parsed = { text: string; entities: Entity[] };

const MAX_TEXT_CHARS = 4096;
const MAX_CAPTION_CHARS = 1024;
const MAX_CALLBACK_BYTES = 64;
const TYPES: { [tag: string]: string } = {
  b: "bold",
  strong: "bold",
  i: "italic",
  em: "italic",
  u: "underline",
  ins: "underline",
  s: "strikethrough",
  strike: "strikethrough",
  del: "strikethrough",
  code: "code",
  pre: "pre",
  a: "text_link",
  blockquote: "blockquote",
  "tg-spoiler": "spoiler",
};
const CHARACTERS: { [name: string]: string } = { lt: "<", gt: ">", amp: "&", quot: '"' };

/** What is sent into chats, checked and given back as the Bot API documents it; `onSend` is for a stand-in. */
export function createTelegramMessages() {
  const sent: { token: string; message: BotMessage }[] = [];
  /** Of what people said, `${chatId} ${number}`. */
  const heard = new Set<string>();

  function isInChat(token: string, chatId: number, number: number): boolean {
    const isSent = ({ token: by, message }: (typeof sent)[number]) =>
      by === token && message.chat.id === chatId && message.message_id === number;
    return heard.has(`${chatId} ${number}`) || sent.some(isSent);
  }

  return {
    /** The oldest first. */
    sent,

    /** Somebody said something in a chat, which can be answered from then on. */
    hear: (chatId: number, number: number) => void heard.add(`${chatId} ${number}`),

    onSend(from: object, { method, token, params }: BotApiCall): Answer {
      const written = writeMessage(params, method === "sendPhoto");
      if (!written.ok) return badRequest(written.reason);
      const chatId = Number(params.chat_id);
      const answered = answeredBy(params);
      const isThere = answered !== null && isInChat(token, chatId, answered.number);
      if (answered?.isNeeded === true && !isThere) return badRequest("message to be replied not found");
      const chat = { id: chatId, type: chatId > 0 ? "private" : "supergroup" };
      const about = {
        message_id: FIRST_NUMBER + sent.length,
        from,
        chat,
        date: Math.floor(Date.now() / 1_000),
      };
      const reply = isThere ? { reply_to_message: { message_id: answered.number } } : {};
      const message = { ...about, ...reply, ...written.content };
      sent.push({ token, message });
      return { status: 200, body: { ok: true, result: message } };
    },
  };
}

const FIRST_NUMBER = 1_000;

function badRequest(reason: string): Answer {
  return { status: 400, body: { ok: false, error_code: 400, description: `Bad Request: ${reason}` } };
}

/**
 * What a bot's `sendMessage` or `sendPhoto` says, by itself: without its number, its sender and what it answers.
 * @returns why the Bot API refuses it, without "Bad Request: "
 */
function writeMessage(
  params: Params,
  hasPhoto: boolean,
): { ok: true; content: Partial<BotMessage> } | { ok: false; reason: string } {
  const given = String((hasPhoto ? params.caption : params.text) ?? "");
  const parsed = params.parse_mode === "HTML" ? parseHtml(given) : { text: given.trim(), entities: [] };
  if (typeof parsed === "string") return refused(`can't parse entities: ${parsed}`);
  const { text, entities } = parsed;
  if (!hasPhoto && text === "") return refused("message text is empty");
  if (!hasPhoto && text.length > MAX_TEXT_CHARS) return refused("message is too long");
  if (hasPhoto && text.length > MAX_CAPTION_CHARS) return refused("message caption is too long");
  if (hasPhoto && !/^https?:\/\/\S+$/.test(String(params.photo)))
    return refused("wrong file identifier/HTTP URL specified");
  const keyboard = readKeyboard(params.reply_markup);
  if (typeof keyboard === "string") return refused(keyboard);
  return {
    ok: true,
    content: {
      ...(hasPhoto ? { photo: PHOTO } : {}),
      ...(text === "" ? {} : hasPhoto ? { caption: text } : { text }),
      ...(entities.length === 0 ? {} : hasPhoto ? { caption_entities: entities } : { entities }),
      ...(isObject(params.link_preview_options) ? { link_preview_options: params.link_preview_options } : {}),
      ...(keyboard.length === 0 ? {} : { reply_markup: { inline_keyboard: keyboard } }),
      ...(params.protect_content === true ? { has_protected_content: true } : {}),
    },
  };
}

/** What a message answers; null where it answers nothing. */
function answeredBy({ reply_parameters: reply }: Params): { number: number; isNeeded: boolean } | null {
  if (!isObject(reply) || !("message_id" in reply)) return null;
  const isNeeded = !("allow_sending_without_reply" in reply && reply.allow_sending_without_reply === true);
  return { number: Number(reply.message_id), isNeeded };
}

const PHOTO = [{ file_id: "AgACAgQ", file_unique_id: "AQAD", width: 90, height: 60, file_size: 1_200 }];

/** @returns why it is none, as text */
function parseHtml(html: string): Parsed | string {
  const open: (Entity & { tag: string })[] = [];
  const entities: Entity[] = [];
  let text = "";
  for (const [token, slash, name, rest, character] of html.matchAll(
    /<(\/?)([a-z-]+)((?:\s[^<>]*)?)>|&(lt|gt|amp|quot);|[^<&]+|[<&]/gi,
  )) {
    const tag = name?.toLowerCase() ?? "";
    if (token === "<") return `Unclosed start tag at byte offset ${Buffer.byteLength(text)}`;
    if (character !== undefined) text += CHARACTERS[character.toLowerCase()] ?? "";
    else if (tag === "") text += token;
    else if (slash === "/") {
      const ended = open.pop();
      if (ended === undefined || ended.tag !== tag) return `Unexpected end tag "${tag}"`;
      const { tag: _, ...entity } = ended;
      if (text.length > entity.offset) entities.push({ ...entity, length: text.length - entity.offset });
    } else {
      const type = TYPES[tag];
      if (type === undefined) return `Unsupported start tag "${tag}"`;
      const href = /\shref="([^"]*)"/i.exec(rest ?? "")?.[1]?.replaceAll("&amp;", "&");
      open.push({ tag, type, offset: text.length, length: 0, ...(href === undefined ? {} : { url: href }) });
    }
  }
  if (open.length > 0) return `Can't find end tag corresponding to start tag "${open.at(-1)?.tag}"`;
  entities.sort((one, other) => one.offset - other.offset || other.length - one.length);
  return { text: text.trim(), entities };
}

/** @returns what is wrong with it, as text */
function readKeyboard(markup: unknown): Button[][] | string {
  if (!isObject(markup) || !("inline_keyboard" in markup)) return [];
  const rows: Button[][] = Array.isArray(markup.inline_keyboard) ? markup.inline_keyboard : [];
  for (const { text, url, callback_data: data } of rows.flat()) {
    if (typeof text !== "string" || text === "")
      return "can't parse inline keyboard button: Text buttons are unallowed";
    if ((url === undefined) === (data === undefined)) return "BUTTON_TYPE_INVALID";
    if (url !== undefined && !/^(?:https?|tg):\/\/\S+$/.test(url)) return "BUTTON_URL_INVALID";
    const bytes = Buffer.byteLength(data ?? "x");
    if (bytes < 1 || bytes > MAX_CALLBACK_BYTES) return "BUTTON_DATA_INVALID";
  }
  return rows;
}

function refused(reason: string): { ok: false; reason: string } {
  return { ok: false, reason };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
