import type { Logger } from "../logger.ts";
import { type Repeating, repeat } from "../repeat.ts";
import type { Db } from "../storage/pool.ts";
import { type Opened, openDeliveries } from "./replay-chunk-queries.ts";
import {
  advanceReplay,
  type ClaimedReplay,
  cancelOpened,
  claimReplay,
  endReplay,
  noteReplayFailure,
  postponeReplay,
  readRoom,
} from "./replay-queries.ts";

const LOOK_MS = 250;
/** A chunk looks at so many events, and at fewer for many endpoints: it is to take well under a second. */
const CHUNK_EVENTS = 2_000;
const CHUNK_PAIRS = 5_000;
const CANCEL_CHUNK = 5_000;
/** So much is open at an endpoint at most: what happens meanwhile waits behind it, and a pause is felt soon. */
const AHEAD_DELIVERIES = 10_000;
/** With a rate, a chunk is for so long, and begins so much before the one before it is due. */
const CHUNK_MS = 10_000;
const EARLY_MS = 5_000;
const FULL_MS = 1_000;
const MAX_FAILURES = 5;

export type ReplayDeps = {
  db: Db;
  /** Says that there is something to deliver. */
  onOpen: () => void;
  now: () => number;
  log: Pick<Logger, "error">;
};

/** Goes on with replays, chunk by chunk, for as long as the process lives. */
export function runReplays(deps: ReplayDeps): Repeating {
  return repeat(
    LOOK_MS,
    async () => {
      const outcome = await replayNextChunk(deps.db, new Date(deps.now()), deps.log);
      if (outcome === "opened") deps.onOpen();
      return outcome === "idle" ? "done" : "more";
    },
    (error) => deps.log.error({ err: error }, "replays: could not look for one, tries again"),
  );
}

/**
 * Does the next step of the replay that has waited longest: opens the deliveries of a chunk of the log, or cancels what
 * a cancelled one had opened. Each is one transaction with the replay's place in the log, so a crash costs a chunk, and
 * several processes work on different replays. A replay whose steps keep failing is paused.
 */
export async function replayNextChunk(
  db: Db,
  now: Date,
  log: Pick<Logger, "error">,
): Promise<"opened" | "looked" | "idle"> {
  const claim: { replay: ClaimedReplay | null } = { replay: null };
  try {
    return await db.transaction().execute(async (transaction) => {
      claim.replay = await claimReplay(transaction, now);
      return claim.replay === null ? "idle" : await work(transaction, claim.replay, now);
    });
  } catch (error) {
    if (claim.replay === null) throw error;
    log.error({ err: error }, "a replay could not do its next chunk");
    const reason = `The last chunk failed: ${error instanceof Error ? error.message : String(error)}`;
    const nextAt = new Date(now.getTime() + FULL_MS);
    await noteReplayFailure(db, claim.replay, { reason, atMost: MAX_FAILURES, nextAt });
    return "looked";
  }
}

async function work(db: Db, replay: ClaimedReplay, now: Date): Promise<"opened" | "looked"> {
  if (replay.status === "cancelled") {
    await cancel(db, replay, now);
    return "looked";
  }
  const room = await readRoom(db, replay, AHEAD_DELIVERIES);
  if (room === "room") return await open(db, replay, now);
  if (room === "gone") await endReplay(db, replay, "Its endpoints were deleted.", now);
  else await postponeReplay(db, replay, new Date(now.getTime() + FULL_MS));
  return "looked";
}

async function cancel(db: Db, replay: ClaimedReplay, now: Date): Promise<void> {
  const { cancelled, isLast } = await cancelOpened(db, replay, CANCEL_CHUNK, now);
  if (isLast) await endReplay(db, replay, null, now);
  // Somebody is writing to all that are left.
  else if (cancelled === 0) await postponeReplay(db, replay, new Date(now.getTime() + FULL_MS));
}

async function open(db: Db, replay: ClaimedReplay, now: Date): Promise<"opened" | "looked"> {
  const dueFrom = new Date(Math.max(replay.dueFrom.getTime(), now.getTime()));
  const chunk = await openDeliveries(db, { ...replay, dueFrom }, limitsOf(replay));
  await advanceReplay(db, replay, chunk, nextOf(replay, chunk, dueFrom, now), now);
  return chunk.opened > 0 ? "opened" : "looked";
}

function limitsOf({ endpointIds, ratePerSecond }: ClaimedReplay) {
  const events = Math.min(CHUNK_EVENTS, Math.floor(CHUNK_PAIRS / endpointIds.length));
  const atRate = ratePerSecond === null ? events : Math.floor((ratePerSecond * CHUNK_MS) / 1_000);
  return { events, perEndpoint: Math.max(1, Math.min(events, atRate)) };
}

/** When the next chunk may begin, and when its first delivery is due. */
function nextOf({ ratePerSecond }: ClaimedReplay, chunk: Opened, dueFrom: Date, now: Date) {
  if (ratePerSecond === null) return { at: now, dueFrom: now };
  const dueNext = dueFrom.getTime() + (chunk.most * 1_000) / ratePerSecond;
  return { at: new Date(Math.max(now.getTime(), dueNext - EARLY_MS)), dueFrom: new Date(dueNext) };
}
