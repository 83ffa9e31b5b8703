import { sql } from "kysely";
import type { NodeType } from "../../src/campaigns/schema.ts";
import type { EventType, Json } from "../../src/events/event.ts";
import { MESSAGE_STATUSES } from "../../src/messages/status.ts";
import type { Db } from "../../src/storage/pool.ts";
import type { Played } from "./play.ts";
import { type EnrollmentState, runKey, timerKey } from "./reference-state.ts";
import type { LogRow } from "./replay.ts";

/** What has come of one contact's enrollment. Times that an output names are left out of it. */
export type Outcome = {
  /** Null: the enrollment is active. */
  reason: string | null;
  /** By `runKey`. */
  runs: Record<string, { status: string; output: Record<string, Json>; dueAt: string | null }>;
  /** The messages' statuses, by `runKey`. */
  messages: Record<string, string>;
  fired: string[];
  /** When they are due, by `timerKey`. */
  timers: Record<string, string>;
  attributes: Record<string, Json>;
  tags: readonly string[];
};

export type StoredRun = {
  customerId: string;
  id: string;
  contactId: string;
  enrollmentId: string;
  campaignId: string;
  nodeId: string;
  nodeType: NodeType;
  round: number;
  status: string;
  output: Record<string, Json>;
  dueAt: Date | null;
  messageId: string | null;
  messageStatus: string | null;
};

export async function readRuns(db: Db, campaignId: string): Promise<StoredRun[]> {
  const { rows } = await sql<StoredRun>`
    select r.customer_id as "customerId", r.id, r.contact_id as "contactId", r.enrollment_id as "enrollmentId",
      r.campaign_id as "campaignId", r.node_id as "nodeId", r.node_type as "nodeType", r.round, r.status, r.output,
      r.due_at as "dueAt", m.id as "messageId", m.status as "messageStatus"
    from node_run r left join message m on m.customer_id = r.customer_id and m.run_id = r.id
    where r.campaign_id = ${campaignId} order by r.id`.execute(db);
  return rows;
}

/** What EDGR made of every contact. */
export async function actualOutcomes(db: Db, { campaignId, contacts }: Played): Promise<Outcome[]> {
  const runs = await readRuns(db, campaignId);
  const enrollments = await sql<{ contactId: string; id: string; status: string; reason: string | null }>`
    select contact_id as "contactId", id, status, completed_reason as reason from enrollment
    where campaign_id = ${campaignId}`.execute(db);
  const firings = await sql<{ enrollmentId: string; key: string }>`
    select enrollment_id as "enrollmentId", edge_id || '/' || round as key from edge_firing`.execute(db);
  const timers = await sql<{ runId: string; edgeId: string; dueAt: Date }>`
    select run_id as "runId", edge_id as "edgeId", due_at as "dueAt" from edge_timer
    where campaign_id = ${campaignId}`.execute(db);
  const stored = await sql<{ id: string; attributes: Outcome["attributes"]; tags: string[] }>`
    select id, attributes, tags from contact where id = any (${contacts.map(({ id }) => id)}::uuid[])`.execute(
    db,
  );
  return contacts.map(({ id }) => {
    const enrollment = enrollments.rows.find((row) => row.contactId === id);
    const contact = stored.rows.find((row) => row.id === id);
    if (enrollment === undefined || contact === undefined) throw new Error("a contact is gone");
    const own = runs.filter((run) => run.contactId === id);
    const key = (run: StoredRun) => runKey(run.nodeId, run.round);
    return {
      reason: enrollment.status === "active" ? null : (enrollment.reason ?? "none"),
      runs: Object.fromEntries(own.map((run) => [key(run), shownRun(run)])),
      messages: Object.fromEntries(
        own.flatMap((run) => (run.messageStatus === null ? [] : [[key(run), run.messageStatus]])),
      ),
      fired: firings.rows.flatMap((row) => (row.enrollmentId === enrollment.id ? [row.key] : [])).sort(),
      timers: Object.fromEntries(
        own.flatMap((run) =>
          timers.rows
            .filter((timer) => timer.runId === run.id)
            .map((timer) => [timerKey(run.nodeId, run.round, timer.edgeId), timer.dueAt.toISOString()]),
        ),
      ),
      attributes: contact.attributes,
      tags: contact.tags,
    };
  });
}

/** What the reference makes of a contact by the log. */
export function expectedOutcome(state: EnrollmentState, log: readonly LogRow[]): Outcome {
  const messages = [...state.runs].flatMap(([key, { node, round, status }]) => {
    if (node.type !== "message") return [];
    const events = log.filter(
      (row) => row.contactId === state.contact.id && row.nodeId === node.id && row.round === round,
    );
    return [[key, furthest(events) ?? (status === "cancelled" ? "cancelled" : "queued")]];
  });
  return {
    reason: state.reason,
    runs: Object.fromEntries([...state.runs].map(([key, run]) => [key, shownRun(run)])),
    messages: Object.fromEntries(messages),
    fired: [...state.fired].sort(),
    timers: Object.fromEntries([...state.timers].map(([key, dueAt]) => [key, dueAt.toISOString()])),
    attributes: state.contact.attributes,
    tags: state.contact.tags,
  };
}

function shownRun({
  status,
  output,
  dueAt,
}: {
  status: string;
  output: Record<string, Json>;
  dueAt: Date | null;
}) {
  const timeless = Object.entries(output).filter(([name]) => !name.endsWith("At"));
  return { status, output: Object.fromEntries(timeless), dueAt: dueAt?.toISOString() ?? null };
}

const STATUS_AFTER: Partial<Record<EventType, string>> = {
  contact_suppressed: "suppressed",
  message_failed: "failed",
  message_uncertain: "uncertain",
  message_sent: "sent",
  message_rejected: "rejected",
  message_delivered: "delivered",
  message_bounced: "bounced",
  message_complained: "complained",
};

function furthest(events: readonly LogRow[]): string | undefined {
  const met = new Set(events.map(({ type }) => STATUS_AFTER[type]));
  return MESSAGE_STATUSES.findLast((status) => met.has(status));
}
