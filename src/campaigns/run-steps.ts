import { z } from "zod";
import { holdAppendLock } from "../events/queries.ts";
import type { Logger } from "../logger.ts";
import { type Repeating, repeat } from "../repeat.ts";
import { type Db, isRefusal } from "../storage/pool.ts";
import { conditionNode, splitNode, updateContactNode } from "./node-schema.ts";
import {
  completeCondition,
  completeSplit,
  completeWaits,
  elapseDueTimers,
  failSteps,
  findDue,
  inSavepoint,
  type StepNode,
  type StepType,
  selectStepNodes,
  takeDueSteps,
} from "./step-queries.ts";
import { completeUpdate, lockContactsToUpdate } from "./update-contact-queries.ts";

const LOOK_MS = 1_000;
const STEPS_AT_ONCE = 5_000;

/**
 * Does what is due, for as long as the process lives: waits end, conditions, splits and updates are done, timers
 * elapse. `wake` says that something may have become due; without it a wait ends at most about a second late.
 */
export function runSteps(db: Db, onAppend: () => void, now: () => number, log: Logger): Repeating {
  return repeat(
    LOOK_MS,
    async () => {
      const done = await doDueSteps(db, { now: new Date(now()), limit: STEPS_AT_ONCE });
      if (done > 0) onAppend();
      return done >= STEPS_AT_ONCE ? "more" : "done";
    },
    (error) => log.error({ err: error }, "steps: could not do those that are due, tries again"),
  );
}

/**
 * Does due steps, and lets due timers elapse, at most `limit` of each, together with what the log says of them: all
 * of it happened, or none, however many processes look at once.
 * @returns how many
 */
export async function doDueSteps(db: Db, at: { now: Date; limit: number }): Promise<number> {
  const due = await findDue(db);
  const steps = due.steps ? await db.transaction().execute((trx) => takeAndDo(trx, at)) : 0;
  const timers = due.timers ? await db.transaction().execute((trx) => elapse(trx, at.limit)) : 0;
  return steps + timers;
}

async function takeAndDo(db: Db, at: { now: Date; limit: number }): Promise<number> {
  await holdAppendLock(db);
  const taken = await takeDueSteps(db, at.limit);
  if (taken > 0) await doTakenSteps(db, at);
  return taken;
}

async function elapse(db: Db, limit: number): Promise<number> {
  await holdAppendLock(db);
  return elapseDueTimers(db, limit);
}

// What conditions ask is asked before anything of the same batch changes.
async function doTakenSteps(db: Db, at: { now: Date }): Promise<void> {
  const nodes = Map.groupBy(await selectStepNodes(db), (node) => node.type);
  if (nodes.has("wait")) await completeWaits(db);
  for (const type of ["split", "condition", "update-contact"] as const) {
    if (type === "update-contact" && nodes.has(type)) await lockContactsToUpdate(db);
    for (const node of nodes.get(type) ?? []) await doNode(db, node, () => STEPS[type](db, node, at));
  }
}

/** A node that can't be done ends its runs with the reason, and the others are done all the same. */
async function doNode(db: Db, node: StepNode, step: () => Promise<void>): Promise<void> {
  try {
    await inSavepoint(db, step);
  } catch (error) {
    if (!isRefusal(error) && !(error instanceof z.ZodError)) throw error;
    await failSteps(db, node, `The node can't be done: ${reasonOf(error)}.`);
  }
}

type Step = (db: Db, node: StepNode, at: { now: Date }) => Promise<void>;

// A function each, so that settings of a shape nobody knows throw where they are caught.
const STEPS: Record<Exclude<StepType, "wait">, Step> = {
  split: async (db, node) => completeSplit(db, node, splitSettings.parse(node.settings).variants),
  condition: async (db, node, at) =>
    completeCondition(db, node, conditionSettings.parse(node.settings).if, at),
  "update-contact": async (db, node) => completeUpdate(db, node, updateSettings.parse(node.settings)),
};

const splitSettings = splitNode.pick({ variants: true });
const conditionSettings = conditionNode.pick({ if: true });
const updateSettings = updateContactNode.pick({ set: true, unset: true, addTags: true, removeTags: true });

function reasonOf(error: unknown): string {
  if (error instanceof z.ZodError) {
    return error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`).join("; ");
  }
  return error instanceof Error ? error.message : String(error);
}
