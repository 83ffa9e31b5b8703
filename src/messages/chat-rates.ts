/**
 * How often one bot writes into one chat (protocols 3.7): once a second, and into a group 20 times in a minute.
 * Telegram bears short bursts, and its limits are not published: a 429 is heeded whatever is counted here.
 */
export type ChatRates = {
  /**
   * Asks for one message to a chat.
   * @returns null: it goes now, and is counted; else the Unix milliseconds at which to ask again, to each who asks
   *   another, so that they go in the order in which they asked
   */
  take(chatId: number, nowMs: number): number | null;
};

const CHAT_INTERVAL_MS = 1_000;
const GROUP_WINDOW_MS = 60_000;
const GROUP_MESSAGES = 20;
/** Chats that are remembered before those that have been quiet are forgotten. */
const MAX_CHATS = 10_000;

/** `sent`: the times of the last messages, oldest first. `promised`: the last time that was named to somebody. */
type Chat = { sent: number[]; promised: number };

export function createChatRates(): ChatRates {
  const chats = new Map<number, Chat>();

  function forgetQuiet(nowMs: number): void {
    for (const [chatId, { sent, promised }] of chats) {
      if (Math.max(sent.at(-1) ?? 0, promised) <= nowMs - GROUP_WINDOW_MS) chats.delete(chatId);
    }
  }

  return {
    take(chatId, nowMs) {
      if (chats.size >= MAX_CHATS) forgetQuiet(nowMs);
      const chat = chats.get(chatId) ?? { sent: [], promised: 0 };
      chats.set(chatId, chat);
      // A clock that was set back must not silence a chat until it has caught up.
      chat.sent = chat.sent.filter((at) => at > nowMs - GROUP_WINDOW_MS && at <= nowMs);
      const freeAt = freeFrom(chat.sent, chatId < 0);
      if (freeAt <= nowMs) {
        chat.sent.push(nowMs);
        return null;
      }
      const isPromised = chat.promised >= freeAt && chat.promised < nowMs + GROUP_WINDOW_MS;
      chat.promised = isPromised ? chat.promised + CHAT_INTERVAL_MS : freeAt;
      return chat.promised;
    },
  };
}

function freeFrom(sent: readonly number[], isGroup: boolean): number {
  const afterLast = (sent.at(-1) ?? Number.NEGATIVE_INFINITY) + CHAT_INTERVAL_MS;
  const first = isGroup ? sent.at(-GROUP_MESSAGES) : undefined;
  return first === undefined ? afterLast : Math.max(afterLast, first + GROUP_WINDOW_MS);
}
