import { z } from "zod";
import { type Api, readAll } from "./api.ts";
import { numberOf } from "./people.ts";
import { answerOf } from "./telegram-people.ts";

/** What EDGR says of the chats. */
export type Chats = {
  /** How many are suppressed because their people blocked the bot. */
  blocked: number;
  /** How many conversations end with what their people answer. */
  answers: number;
  /** How many reactions there are to what was sent, in these conversations. */
  reactions: number;
};

const conversation = z.object({
  id: z.string(),
  contact: z.object({ email: z.string().nullable() }),
  lastMessage: z.object({ direction: z.string(), text: z.string().nullable() }).nullable(),
});

const message = z.object({ direction: z.string(), reactions: z.array(z.unknown()) });

/** Reads conversations again and again, those that have their reactions no more. */
export function createChatReader(api: Api): () => Promise<Chats> {
  const reactions = new Map<string, number>();

  return async () => {
    const items = z.array(conversation).parse(await readAll(api, "/conversations?channel=telegram"));
    const answered = items.filter(({ contact, lastMessage }) => {
      const { direction, text } = lastMessage ?? { direction: "", text: null };
      return direction === "inbound" && text === answerOf(numberOf(contact.email ?? ""));
    });
    for (const { id } of answered) {
      if (reactions.has(id)) continue;
      const messages = z.array(message).parse(await readAll(api, `/conversations/${id}/messages`));
      const count = messages.reduce(
        (sum, one) => sum + (one.direction === "outbound" ? one.reactions.length : 0),
        0,
      );
      if (count > 0) reactions.set(id, count);
    }
    return {
      blocked: (await readAll(api, "/suppressions?reason=blocked")).length,
      answers: answered.length,
      reactions: [...reactions.values()].reduce((sum, count) => sum + count, 0),
    };
  };
}
