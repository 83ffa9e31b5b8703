import { UNSUBSCRIBE_CALLBACK } from "../../src/telegram/callback.ts";

/** What a crowd of people and groups does in Telegram, as its updates in the order in which they happen. */
export type Crowd = {
  updates: CrowdUpdate[];
  /** Private chats, by place. */
  people: number[];
  /** Chats of groups, as they were before any of them became another. */
  groups: number[];
};

export type CrowdUpdate = {
  /** Updates of one lane happen one after the other: of one chat, or of a group and what it became. */
  lane: number;
  /** Of a lane, what is in an earlier phase is delivered before: a group becomes another between two of them. */
  phase: number;
  /** JSON; `{{link:3}}` stands for the payload of the link of the person at place 3. */
  body: string;
};

export type CrowdSize = {
  seed: number;
  updates: number;
  people: number;
  groups: number;
  /** Unix seconds; each update is a second later. */
  begin: number;
  /** Whether a campaign's messages, of the numbers `CAMPAIGN_NUMBERS`, are in somebody's chat, by his place. */
  isWrittenTo: (place: number) => boolean;
};

type User = { id: number; is_bot: false; first_name: string; username?: string };
type Said = { number: number; date: number; from: User; isPhoto: boolean; more: object };
type Chat = {
  lane: number;
  phase: number;
  id: number;
  type: "private" | "group" | "supergroup";
  lastNumber: number;
  said: Said[];
  /** Numbers of messages that the bot sent into it. */
  sent: readonly number[];
};
type Random = { below(limit: number): number; pick<Item>(items: readonly Item[]): Item };

/** Somebody's turn to do something in a chat. */
type Turn = {
  chat: Chat;
  from: User;
  date: number;
  random: Random;
  tell(kind: string, content: object): void;
};

export const CAMPAIGN_NUMBERS: readonly number[] = [1, 2];
const FIRST_NUMBER = 10;
const FIRST_UPDATE = 700_000_000;
const FIRST_PERSON = 5_000_000_000;
const GROUP_MEMBERS = 5;
const LAST_SAID = 8;
const EMOJI = ["👍", "👎", "🔥", "🎉", "❤"];
const PHOTO = [{ file_id: "AgAC-small", file_unique_id: "s", width: 90, height: 60, file_size: 1_200 }];
const BOT = { id: 7, is_bot: true, first_name: "Bot" };

const IN_PRIVATE = [write, write, write, answer, edit, edit, react, react, press, sendAlbum, stand, command];
const IN_GROUP = [write, write, write, write, answer, edit, edit, react, stand, becomeSupergroup];

/** Always the same for the same size. */
export function gatherCrowd({ seed, updates: wanted, people, groups, begin, isWrittenTo }: CrowdSize): Crowd {
  const random = createRandom(seed);
  const privates = Array.from({ length: people }, (_, place) =>
    newChat(place, FIRST_PERSON + place, "private", isWrittenTo(place) ? CAMPAIGN_NUMBERS : []),
  );
  const crowds = Array.from({ length: groups }, (_, place) =>
    newChat(people + place, -(400_000_000 + place), "group", []),
  );
  const ids = (chats: readonly Chat[]) => chats.map(({ id }) => id);
  const chats = { people: ids(privates), groups: ids(crowds) };
  const updates: CrowdUpdate[] = [];
  while (updates.length < wanted) {
    const isGroup = random.below(12) === 0;
    const chat = random.pick(isGroup ? crowds : privates);
    const member = people + chat.lane * GROUP_MEMBERS + random.below(GROUP_MEMBERS);
    const tell = (kind: string, content: object) => {
      const body = JSON.stringify({ update_id: FIRST_UPDATE + updates.length, [kind]: content });
      updates.push({ lane: chat.lane, phase: chat.phase, body });
    };
    const turn = { chat, from: personAt(isGroup ? member : chat.lane), date: begin + updates.length };
    random.pick(isGroup ? IN_GROUP : IN_PRIVATE)({ ...turn, random, tell });
  }
  return { updates, ...chats };
}

/** Numbers from 0 (inclusive) to 1 (exclusive), always the same for the same seed: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function write(turn: Turn): void {
  say(turn, {});
}

function answer(turn: Turn): void {
  const number = anyNumber(turn);
  if (number !== null)
    say(turn, { reply_to_message: { message_id: number, chat: shown(turn.chat), date: 0 } });
}

function say({ random, tell, ...turn }: Turn, more: object): void {
  const name = turn.from.first_name;
  const bold = [{ type: "bold", offset: "👋 ".length, length: name.length }];
  const entities = random.below(3) === 0 ? { entities: bold } : {};
  const text = `👋 ${name} says ${random.below(1_000_000)}`;
  tell("message", { ...newMessage(turn, { more }), text, ...entities });
}

/** The message that was changed says all that it did, but for its text. */
function edit({ chat, date, random, tell }: Turn): void {
  const said = chat.said.at(-1 - random.below(LAST_SAID));
  if (said === undefined) return;
  const { number, date: saidAt, from, isPhoto, more } = said;
  const text = `changed to ${random.below(1_000_000)}`;
  const content = isPhoto ? { photo: PHOTO, caption: text } : { text };
  const about = { message_id: number, from, chat: shown(chat), date: saidAt, edit_date: date };
  tell("edited_message", { ...about, ...more, ...content });
}

function react({ tell, ...turn }: Turn): void {
  const { chat, from: user, date, random } = turn;
  const number = anyNumber(turn);
  if (number === null) return;
  const emoji = EMOJI.filter(() => random.below(4) === 0).map((one) => ({ type: "emoji", emoji: one }));
  const about = { chat: shown(chat), message_id: number, user, date };
  tell("message_reaction", { ...about, old_reaction: [], new_reaction: emoji });
}

/** A button below what the bot sent, or, where that was nothing, below what somebody made up. */
function press({ chat, from, date, random, tell }: Turn): void {
  const data = random.below(8) === 0 ? UNSUBSCRIBE_CALLBACK : "more";
  const message = { message_id: random.pick(CAMPAIGN_NUMBERS), chat: shown(chat), date };
  const id = String(900_000_000_000_000_000n + BigInt(date));
  tell("callback_query", { id, from, chat_instance: "1", message, data });
}

/** One update for each photo, all of the same second. */
function sendAlbum({ tell, ...turn }: Turn): void {
  const count = 2 + turn.random.below(3);
  const more = { media_group_id: String(13_000_000_000_000_000n + BigInt(turn.date)) };
  for (let place = 0; place < count; place += 1) {
    const caption = place === 0 ? { caption: `${count} pictures` } : {};
    tell("message", { ...newMessage(turn, { isPhoto: true, more }), photo: PHOTO, ...caption });
  }
}

function command({ tell, ...turn }: Turn): void {
  const { chat, random } = turn;
  const others = ["/start", `/start {{link:${chat.lane}}}`, "/help"];
  const text = random.below(10) === 0 ? "/stop" : random.pick(others);
  const entities = [{ type: "bot_command", offset: 0, length: text.split(" ")[0]?.length }];
  tell("message", { ...newMessage(turn), text, entities });
}

/** The bot is blocked, or let in again; in a group somebody removes it, or takes it back. */
function stand({ chat, from, date, random, tell }: Turn): void {
  const [old, status] = random.pick([
    ["member", "kicked"],
    ["kicked", "member"],
  ]);
  const members = {
    old_chat_member: { status: old, user: BOT },
    new_chat_member: { status, user: BOT },
  };
  tell("my_chat_member", { chat: shown(chat), from, date, ...members });
}

/** The group becomes another, as both of them are told; that one numbers its messages anew. */
function becomeSupergroup({ tell, ...turn }: Turn): void {
  const { chat } = turn;
  if (chat.type !== "group") return;
  const old = chat.id;
  const id = old - 1_001_000_000_000;
  chat.phase += 1;
  tell("message", { ...newMessage(turn), migrate_to_chat_id: id });
  Object.assign(chat, { id, type: "supergroup", lastNumber: 0 });
  tell("message", { ...newMessage(turn), migrate_from_chat_id: old });
  // Nothing of before can be changed or reacted to any more, and service messages can't.
  chat.phase += 1;
  chat.said = [];
}

function newMessage(
  { chat, from, date }: Omit<Turn, "tell" | "random">,
  { isPhoto = false, more = {} } = {},
) {
  chat.lastNumber += 1;
  chat.said.push({ number: chat.lastNumber, date, from, isPhoto, more });
  return { message_id: chat.lastNumber, from, chat: shown(chat), date, ...more };
}

/** Of one of the last messages in the chat, or of one of the bot's; null when there is none. */
function anyNumber({ chat, random }: Omit<Turn, "tell">): number | null {
  const numbers = [...chat.sent, ...chat.said.slice(-LAST_SAID).map(({ number }) => number)];
  return numbers.length === 0 ? null : random.pick(numbers);
}

function shown({ id, type }: Chat): object {
  return type === "private" ? { id, type, first_name: `Person ${id}` } : { id, type, title: `Group ${id}` };
}

function newChat(lane: number, id: number, type: Chat["type"], sent: readonly number[]): Chat {
  return { lane, phase: 0, id, type, lastNumber: FIRST_NUMBER, said: [], sent };
}

function personAt(place: number): User {
  const username = place % 3 === 0 ? { username: `person_${place}` } : {};
  return { id: FIRST_PERSON + place, is_bot: false, first_name: `Person${place}`, ...username };
}

function createRandom(seed: number): Random {
  const random = seeded(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  return {
    below,
    pick(items) {
      const item = items[below(items.length)];
      if (item === undefined) throw new Error("there is nothing to pick from");
      return item;
    },
  };
}
