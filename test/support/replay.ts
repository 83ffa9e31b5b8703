import { sql } from "kysely";
import type { Graph } from "../../src/campaigns/schema.ts";
import type { Agent, EventType, Json } from "../../src/events/event.ts";
import type { Db } from "../../src/storage/pool.ts";
import { advance, enrolled } from "./reference-interpreter.ts";
import {
  type EnrollmentState,
  type LoggedEvent,
  type ReferenceContact,
  type ReferenceRun,
  runKey,
  timerKey,
} from "./reference-state.ts";
import { dueSteps } from "./reference-steps.ts";

/** An event of a campaign as the log has it, with the node and the round of its run. */
export type LogRow = LoggedEvent & { contactId: string };

/** What a worker of EDGR's said in the log, beside what the reference says at this place of the log. */
export type ComparedStep = { said: LogRow["data"]; expected: LogRow["data"] | null; type: string };

export type Replayed = {
  states: ReadonlyMap<string, EnrollmentState>;
  steps: readonly ComparedStep[];
  /** Runs that ended, by the log, after their enrollment had: whether they are cancelled is a matter of batches. */
  endedLate: ReadonlySet<string>;
};

/** The events of a campaign in the log's order. */
export async function readLog(db: Db, campaignId: string): Promise<LogRow[]> {
  type Row = {
    contactId: string;
    nodeId: string;
    round: number;
    type: EventType;
    at: Date;
    agent: Agent | null;
    data: { [name: string]: Json };
  };
  const { rows } = await sql<Row>`
    select coalesce(r.contact_id, e.contact_id) as "contactId", coalesce(r.node_id, '') as "nodeId",
      coalesce(r.round, 0) as round, e.type, e.at, e.agent, e.data
    from event_log e left join node_run r on r.customer_id = e.customer_id and r.id = e.run_id
    where e.campaign_id = ${campaignId} order by e.position`.execute(db);
  return rows;
}

/**
 * Plays the log to the reference, in the log's order, one enrollment for each contact. A step's own result is taken
 * from the log, where it is up to what the worker saw; what the reference would say is given beside it.
 */
export function replay(
  graph: Graph,
  campaignId: string,
  contacts: readonly ReferenceContact[],
  log: readonly LogRow[],
): Replayed {
  const states = new Map<string, EnrollmentState>();
  const steps: ComparedStep[] = [];
  const endedLate = new Set<string>();
  for (const row of log) {
    const contact = contacts.find(({ id }) => id === row.contactId);
    if (contact === undefined) throw new Error("an event of nobody");
    if (row.type === "campaign_started") {
      states.set(contact.id, enrolled(graph, { campaignId, contact, at: row.at }));
    }
    const state = states.get(contact.id);
    const run = state?.runs.get(runKey(row.nodeId, row.round));
    if (state === undefined || run === undefined || row.type === "campaign_completed") continue;
    const { contact: changed, step } = takeStep(graph, state, run, row);
    if (step !== null) steps.push(step);
    if (!state.active && ENDINGS.has(row.type))
      endedLate.add(`${contact.id} ${runKey(row.nodeId, row.round)}`);
    states.set(contact.id, advance(graph, { ...state, contact: changed }, row));
  }
  return { states, steps, endedLate };
}

const ENDINGS = new Set<string>([
  "message_sent",
  "message_failed",
  "message_uncertain",
  "contact_suppressed",
  "run_completed",
  "run_failed",
]);

const STEP_NODES = new Set<string>(["wait", "condition", "split", "update-contact"]);

/** What the worker did that wrote `row`, had it been this run's or timer's turn and no other's. */
function takeStep(graph: Graph, state: EnrollmentState, run: ReferenceRun, row: LogRow) {
  const isTimer = row.type === "timer_elapsed";
  if (!isTimer && !(row.type === "run_completed" && STEP_NODES.has(run.node.type))) {
    return { contact: state.contact, step: null };
  }
  const key = runKey(run.node.id, run.round);
  const timer = timerKey(run.node.id, run.round, String(row.data.edgeId));
  // Once the enrollment is over, or the timer's event has happened, the worker may still have been at it.
  const wasDue = isTimer ? state.timers.has(timer) : run.dueAt !== null;
  const overtaken = !state.active || (isTimer && run.did.size > 0);
  const runs = new Map(
    [...state.runs].map(([id, other]) => [id, { ...other, dueAt: id === key && !isTimer ? row.at : null }]),
  );
  const timers = new Map(isTimer ? [[timer, row.at]] : []);
  const { state: after, events } = dueSteps(graph, { ...state, runs, timers }, row.at);
  const expected = wasDue || overtaken ? (events[0]?.data ?? null) : null;
  return {
    contact: after.contact,
    step: { said: row.data, expected, type: isTimer ? "timer" : run.node.type },
  };
}
