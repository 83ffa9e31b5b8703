import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ANN, messageUpdate } from "../../../test/support/telegram-edge.ts";
import { readEntities, toHtml } from "./entities.ts";
import { readUpdate } from "./update.ts";

const bold = (offset: number, length: number) => ({ type: "bold", offset, length });

function messageOf(message: object) {
  const content = readUpdate(messageUpdate(1, message))?.content;
  if (content?.type !== "message") throw new Error("it is a message");
  return content.message;
}

describe("entities", () => {
  test("are counted in UTF-16 code units, and sorted", () => {
    const text = "🗳 Vote";
    const entities = readEntities([{ type: "italic", offset: 3, length: 4 }, bold(0, 2)], text);
    expect(entities.map(({ type, offset, length }) => text.slice(offset, offset + length) + type)).toEqual([
      "🗳bold",
      "Voteitalic",
    ]);
    expect(toHtml(text, entities)).toBe("<b>🗳</b> <i>Vote</i>");
  });

  test("stay within the text and never cut a character in two", () => {
    const of = (given: object[], text: string) =>
      readEntities(given, text).map(({ offset, length }) => [offset, length]);
    expect(of([bold(-5, 7), bold(2, 99), bold(9, 1), bold(1, 0), bold(1, -1)], "abcd")).toEqual([
      [0, 2],
      [2, 2],
    ]);
    expect(of([bold(1, 1)], "🗳")).toEqual([[0, 2]]);
    expect(of([{ type: "bold", offset: "0", length: 1 }, { type: "bold" }], "abcd")).toEqual([]);
  });

  test("nest, and one that reaches out of another ends with it", () => {
    const html = (given: object[]) => toHtml("abcdef", readEntities(given, "abcdef"));
    expect(html([bold(0, 6), { type: "italic", offset: 2, length: 2 }])).toBe("<b>ab<i>cd</i>ef</b>");
    expect(html([bold(0, 4), { type: "italic", offset: 2, length: 4 }])).toBe("<b>ab<i>cd</i></b>ef");
  });

  test("as HTML show nothing that is not the text's own, and link to the web only", () => {
    const link = (url: string) =>
      toHtml("a<b", readEntities([{ type: "text_link", offset: 0, length: 1, url }], "a<b"));
    expect(link("javascript:alert(1)")).toBe("a&lt;b");
    expect(link('https://x.example/"><i>')).toBe(
      '<a href="https://x.example/&quot;&gt;&lt;i&gt;" rel="noopener noreferrer nofollow">a</a>&lt;b',
    );
    expect(toHtml("a", readEntities([{ type: "constructor", offset: 0, length: 1 }], "a"))).toBe("a");
  });

  test("of any kind make HTML whose text is the text", () => {
    const anything = fc.record({
      type: fc.constantFrom("bold", "italic", "code", "text_link", "mention"),
      offset: fc.integer({ min: -3, max: 12 }),
      length: fc.integer({ min: -3, max: 12 }),
      url: fc.constant("https://x.example/"),
    });
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 10 }), fc.array(anything), (text, given) => {
        const html = toHtml(text, readEntities(given, text));
        const shown = html
          .replace(/<[^>]*>/g, "")
          .replace(/&(lt|gt|quot|amp);/g, (whole) => PLAIN[whole] ?? "");
        expect(shown).toBe(text);
        expect(html.match(/<[a-z]/g)?.length).toBe(html.match(/<\//g)?.length);
      }),
    );
  });
});

const PLAIN: { [escaped: string]: string } = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&amp;": "&" };

describe("what a message has beside its text", () => {
  const file = { file_id: "F", file_unique_id: "U" };
  const cases: [string, object, object][] = [
    [
      "photo",
      {
        photo: [
          { ...file, file_id: "small" },
          { ...file, width: 1280, height: 720, file_size: 9 },
        ],
      },
      { fileId: "F", width: 1280, sizeBytes: 9 },
    ],
    ["animation", { animation: file, document: { ...file, file_id: "D" } }, { fileId: "F" }],
    [
      "document",
      { document: { ...file, file_name: "a.pdf", mime_type: "application/pdf" } },
      { fileName: "a.pdf", mimeType: "application/pdf" },
    ],
    ["voice", { voice: { ...file, duration: 5 } }, { durationSeconds: 5 }],
    ["sticker", { sticker: { ...file, emoji: "👍" } }, { emoji: "👍" }],
    [
      "contact",
      { contact: { phone_number: "331234", first_name: "A", user_id: ANN.id } },
      { phoneNumber: "331234", isOwn: true },
    ],
    ["contact", { contact: { phone_number: "331234", first_name: "B", user_id: 4 } }, { isOwn: false }],
    [
      "location",
      { location: { latitude: 48.85, longitude: 2.35 } },
      { latitude: 48.85, longitude: 2.35, title: null },
    ],
    [
      "location",
      {
        venue: { location: { latitude: 1, longitude: 2 }, title: "T", address: "S" },
        location: { latitude: 1, longitude: 2 },
      },
      { title: "T" },
    ],
  ];

  test.each(cases)("is a %s", (kind, given, expected) => {
    const message = messageOf({ text: undefined, ...given });
    expect<string>(message.kind).toBe(kind);
    expect(message.media).toMatchObject([{ type: kind, ...expected }]);
  });

  test("has its caption for a text, with the caption's entities", () => {
    const message = messageOf({
      text: undefined,
      photo: [file],
      caption: "Look",
      caption_entities: [bold(0, 4)],
      entities: [],
    });
    expect([message.text, message.html]).toEqual(["Look", "<b>Look</b>"]);
  });

  test("is nothing known where Telegram sends something new", () => {
    expect(messageOf({ text: undefined, hologram: file })).toMatchObject({
      kind: "other",
      media: [],
      text: null,
    });
  });
});

test("ids of 52 bits are exact, and texts keep their length without what PostgreSQL refuses", () => {
  const message = messageOf({ chat: { id: -4_503_599_627_370_495, type: "supergroup" }, text: "a\0b\ud800" });
  expect(message.chat.id).toBe(-4_503_599_627_370_495);
  expect(message.text).toBe("a\uFFFDb\uFFFD");
});

test("commands are read with their bot and argument", () => {
  expect(messageOf({ text: "/start abc_-9" }).command).toEqual({
    name: "start",
    bot: null,
    argument: "abc_-9",
  });
  expect(messageOf({ text: "/STOP@our_bot" }).command).toEqual({
    name: "stop",
    bot: "our_bot",
    argument: "",
  });
  for (const text of ["start", " /start", "/start!", "/", "/é"])
    expect(messageOf({ text }).command).toBeNull();
});

test("reactions, buttons and standings are read, and a button without its message too", () => {
  const chat = { id: ANN.id, type: "private" };
  const read = (kind: string, body: object) => readUpdate({ update_id: 1, [kind]: body })?.content;
  const reaction = {
    chat,
    message_id: 7,
    user: ANN,
    date: 1_790_000_000,
    old_reaction: [],
    new_reaction: [{ type: "emoji", emoji: "🔥" }, { type: "paid" }],
  };
  expect(read("message_reaction", reaction)).toMatchObject({
    type: "reaction",
    messageId: 7,
    reactions: ["🔥", "paid"],
  });
  expect(
    read("callback_query", {
      id: "1234567890123456789",
      from: ANN,
      data: "yes",
      message: { chat, message_id: 3, date: 0 },
    }),
  ).toMatchObject({
    type: "callback",
    queryId: "1234567890123456789",
    data: "yes",
    chat,
    messageId: 3,
  });
  expect(read("callback_query", { id: "1", from: ANN, game_short_name: "g" })).toMatchObject({
    data: null,
    chat: null,
  });
});

test("every kind of protocols 3.5 is read, and so is one that nobody knows", () => {
  const kinds =
    "message edited_message channel_post edited_channel_post business_connection business_message " +
    "edited_business_message deleted_business_messages message_reaction message_reaction_count inline_query " +
    "chosen_inline_result callback_query shipping_query pre_checkout_query purchased_paid_media poll poll_answer " +
    "my_chat_member chat_member chat_join_request chat_boost removed_chat_boost managed_bot guest_message of_tomorrow";
  for (const kind of kinds.split(" ")) {
    const body = {
      id: "1",
      from: ANN,
      chat: { id: 1, type: "private" },
      message_id: 1,
      new_chat_member: { status: "left" },
      new_reaction: [],
    };
    const update = readUpdate({ update_id: 8, [kind]: body });
    expect([update?.id, update?.kind]).toEqual([8, kind]);
    expect([kind, update?.content.type]).not.toEqual([kind, "odd"]);
  }
});
