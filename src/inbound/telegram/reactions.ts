import type { Event } from "../../events/event.ts";
import type { Db } from "../../storage/pool.ts";
import { findReactedTo, saveReactions } from "./reaction-queries.ts";
import type { ToldReaction } from "./told.ts";
import { reactedEvent } from "./told-events.ts";

/**
 * Keeps reactions with the messages that they are to.
 * @param db the transaction that appends what is returned
 * @returns the events that come of them, and those that fit no message yet
 */
export async function recordReactions(
  db: Db,
  told: readonly ToldReaction[],
): Promise<{ events: Event[]; unmatched: Set<ToldReaction> }> {
  const found = await findReactedTo(
    db,
    told.map(({ told: of, chat, telegramMessageId }) => {
      const { customerId, credentialId } = of.webhook;
      return { customerId, credentialId, chatId: chat.id, telegramMessageId };
    }),
  );
  const matched = told.flatMap((reaction, place) => {
    const message = found.get(place);
    return message === undefined ? [] : [{ reaction, message }];
  });
  await saveReactions(
    db,
    matched.map(({ reaction: { told: of, fromId, reactions, at }, message: { messageId } }) => {
      return { customerId: of.webhook.customerId, messageId, fromId, reactions, at, updateId: of.update.id };
    }),
  );
  return {
    events: matched.map(({ reaction, message }) => reactedEvent(reaction, message)),
    unmatched: new Set(told.filter((_, place) => !found.has(place))),
  };
}
