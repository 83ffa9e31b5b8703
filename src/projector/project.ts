import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import { createBatchTables, fillBatch, lockCursor, moveCursor, nextRange, type Range } from "./batch.ts";
import { completeEnrollments } from "./complete-enrollments.ts";
import { countEvents } from "./count-events.ts";
import { countLinks } from "./count-links.ts";
import { fireEdges } from "./fire-edges.ts";
import { gatherDigests } from "./gather-digests.ts";
import { keepConversations } from "./keep-conversations.ts";
import { limitSoftBounces } from "./limit-soft-bounces.ts";
import { oweDeliveries } from "./owe-deliveries.ts";
import { recordActivity } from "./record-activity.ts";
import { startEnrollments, startRuns } from "./start-runs.ts";
import { suppress } from "./suppress.ts";
import { suppressChats } from "./suppress-chats.ts";
import { discountLate, keepTimers } from "./timers.ts";
import { updateMessages } from "./update-messages.ts";
import { updateRuns } from "./update-runs.ts";

/**
 * Projects the next events of the log, at most `limit`, in one transaction: activity, outputs, statuses, suppressions,
 * counters, fired edges and the runs these begin are there together with the cursor's new place, or not at all.
 * @param connection one connection, kept over calls: the batch's temporary tables live on it
 * @returns how many positions were done; 0 when there is nothing to do or another process does it
 * @throws what PostgreSQL refused; nothing has changed then
 */
export async function projectNext(connection: Db, limit: number): Promise<number> {
  return connection.transaction().execute(async (db) => {
    const from = await lockCursor(db);
    if (from === null) return 0;
    const range = await nextRange(db, from, limit);
    if (range === null) return 0;
    await projectRange(db, range);
    await moveCursor(db, range.to);
    return range.to - range.from;
  });
}

async function projectRange(db: Db, range: Range): Promise<void> {
  await createBatchTables(db);
  const types = await fillBatch(db, range);
  await recordActivity(db);
  await updateRuns(db, types);
  await updateMessages(db, types);
  await suppress(db, types);
  await suppressChats(db, types);
  await limitSoftBounces(db, types);
  await keepConversations(db, types);
  await countEvents(db, types);
  await countLinks(db, types);
  await keepTimers(db, types);
  await discountLate(db, types);
  const entered = await startEnrollments(db, types);
  const fired = await fireEdges(db);
  if (entered.starting + fired.starting > 0) await startRuns(db);
  if (entered.completing + fired.completing > 0) await completeEnrollments(db);
  await gatherDigests(db);
  await oweDeliveries(db);
}

/**
 * Passes over the one event at the cursor that PostgreSQL refuses to project, and keeps why; the event itself
 * stays in the log.
 */
export async function refuseNext(connection: Db, reason: string): Promise<void> {
  await connection.transaction().execute(async (db) => {
    const from = await lockCursor(db);
    if (from === null) return;
    const range = await nextRange(db, from, 1);
    if (range === null) return;
    await sql`
      insert into projector_refusal (customer_id, event_id, reason)
      select customer_id, id, ${reason} from event_log where position > ${range.from} and position <= ${range.to}
      on conflict do nothing`.execute(db);
    await moveCursor(db, range.to);
  });
}
