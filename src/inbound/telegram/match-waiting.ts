import { appendEvents } from "../../events/queries.ts";
import type { Db } from "../../storage/pool.ts";
import { parseJson } from "../json.ts";
import { WAITING_AT_ONCE } from "../match-waiting.ts";
import { endWaiting } from "../ses/queries.ts";
import { takeWaitingUpdates, type Waiting } from "./reaction-queries.ts";
import { recordReactions } from "./reactions.ts";
import { reactionOf, type ToldReaction } from "./told.ts";
import { readUpdate } from "./update.ts";

/**
 * One look for the messages of reactions that came before them: somebody may be quicker than it is recorded what was
 * sent to him, and chats are delivered side by side.
 */
export async function matchWaitingReactions(db: Db): Promise<{ taken: number; matched: number }> {
  return db.transaction().execute(async (transaction) => {
    const taken = await takeWaitingUpdates(transaction, WAITING_AT_ONCE);
    if (taken.length === 0) return { taken: 0, matched: 0 };
    const reactions = taken.flatMap((waiting) => {
      const reaction = toldAgain(waiting);
      return reaction === null ? [] : [{ waiting, reaction }];
    });
    const { events, unmatched } = await recordReactions(
      transaction,
      reactions.map(({ reaction }) => reaction),
    );
    await appendEvents(transaction, events);
    const matched = reactions.filter(({ reaction }) => !unmatched.has(reaction));
    await endWaiting(
      transaction,
      taken,
      matched.map(({ waiting }) => waiting),
    );
    return { taken: taken.length, matched: matched.length };
  });
}

function toldAgain({ customerId, credentialId, botId, raw, receivedAt }: Waiting): ToldReaction | null {
  const update = readUpdate(parseJson(raw));
  if (update === null) return null;
  return reactionOf({ webhook: { customerId, credentialId, botId }, update, raw, receivedAt });
}
