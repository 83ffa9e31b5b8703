import { newId } from "../../events/id.ts";
import { appendEvents } from "../../events/queries.ts";
import type { Logger } from "../../logger.ts";
import { type Repeating, repeat } from "../../repeat.ts";
import type { Db } from "../../storage/pool.ts";
import { correlationOf, eventOf } from "./notice.ts";
import { endWaiting, findMessages, takeWaiting } from "./queries.ts";

const LOOK_MS = 1_000;
const CHUNK = 500;

/**
 * Looks for the messages of facts that came before them: a bounce may be quicker than the answer to the mail is
 * recorded.
 * @param onAppend called when something was appended to the log
 */
export function runMatching(db: Db, onAppend: () => void, log: Pick<Logger, "error">): Repeating {
  return repeat(
    LOOK_MS,
    async () => {
      const { taken, matched } = await matchWaiting(db);
      if (matched > 0) onAppend();
      return taken === CHUNK ? "more" : "done";
    },
    (error) => log.error({ err: error }, "ses: could not match what waits, tries again"),
  );
}

/** One look at those whose turn it is. */
export async function matchWaiting(db: Db): Promise<{ taken: number; matched: number }> {
  return db.transaction().execute(async (transaction) => {
    const taken = await takeWaiting(transaction, CHUNK);
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
