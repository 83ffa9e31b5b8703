import { newId } from "../../events/id.ts";
import { appendEvents } from "../../events/queries.ts";
import type { Db } from "../../storage/pool.ts";
import { WAITING_AT_ONCE } from "../match-waiting.ts";
import { correlationOf, eventOf } from "./notice.ts";
import { endWaiting, findMessages, takeWaiting } from "./queries.ts";

/**
 * One look for the messages of facts that came before them: a bounce may be quicker than the answer to the mail is
 * recorded.
 */
export async function matchWaiting(db: Db): Promise<{ taken: number; matched: number }> {
  return db.transaction().execute(async (transaction) => {
    const taken = await takeWaiting(transaction, WAITING_AT_ONCE);
    if (taken.length === 0) return { taken: 0, matched: 0 };
    const found = await findMessages(
      transaction,
      taken.map(({ customerId, mail }) => ({ customerId, ...correlationOf(mail) })),
    );
    const matched = taken.filter((_, place) => found.has(place));
    const events = taken.flatMap(({ customerId, sentAt, facts }, place) => {
      const message = found.get(place);
      if (message === undefined) return [];
      return facts.map((fact) => eventOf(fact, message, { id: newId(), customerId, sentAt }));
    });
    await appendEvents(transaction, events);
    await endWaiting(transaction, taken, matched);
    return { taken: taken.length, matched: matched.length };
  });
}
