import { sql } from "kysely";
import type { Json } from "../events/event.ts";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import type { NodeType } from "./schema.ts";

export type EnrollmentStatus = "active" | "completed";
export type CompletedReason = "exit" | "round_limit" | "unsubscribed" | "replied" | "left" | "deleted";

export type Enrollment = {
  id: string;
  campaignId: string;
  version: number;
  contactId: string;
  /** 1 for the first time the contact goes through the campaign. */
  attempt: number;
  status: EnrollmentStatus;
  createdAt: Date;
  completedAt: Date | null;
  completedReason: CompletedReason | null;
};

export type Run = {
  id: string;
  nodeId: string;
  type: NodeType;
  /** From 1; more where edges lead back. */
  round: number;
  status: "running" | "waiting" | "completed" | "failed" | "cancelled";
  output: { [key: string]: Json };
  dueAt: Date | null;
  createdAt: Date;
  finishedAt: Date | null;
  messageId: string | null;
};

export type FiredEdge = { edgeId: string; round: number; firedAt: Date; eventId: string };

const columns = sql`id, campaign_id as "campaignId", version, contact_id as "contactId", attempt, status,
  created_at as "createdAt", completed_at as "completedAt", completed_reason as "completedReason"`;

/**
 * Newest first, one more than the page holds.
 * @param statuses each is read from its own end of the index, so that a rare one costs no more than a common one
 */
export async function selectEnrollments(
  db: Db,
  customerId: string,
  campaignId: string,
  statuses: readonly EnrollmentStatus[],
  page: Page,
): Promise<Enrollment[]> {
  const { rows } = await sql<Enrollment>`
    select ${columns}
    from unnest(${statuses}::text[]) as asked
    cross join lateral (
      select * from enrollment
      where customer_id = ${customerId} and campaign_id = ${campaignId} and status = asked
        and (${page.cursor}::uuid is null or id < ${page.cursor}::uuid)
      order by id desc limit ${page.limit + 1}
    ) as e
    order by id desc limit ${page.limit + 1}`.execute(db);
  return rows;
}

export async function findEnrollment(db: Db, customerId: string, id: string): Promise<Enrollment | null> {
  const { rows } = await sql<Enrollment>`
    select ${columns} from enrollment where customer_id = ${customerId} and id = ${id}`.execute(db);
  return rows[0] ?? null;
}

/** The runs of an enrollment in the order they began. */
export async function selectRuns(db: Db, customerId: string, enrollmentId: string): Promise<Run[]> {
  const { rows } = await sql<Run>`
    select r.id, r.node_id as "nodeId", n.type, r.round, r.status, r.output, r.due_at as "dueAt",
      r.created_at as "createdAt", r.finished_at as "finishedAt", m.id as "messageId"
    from node_run r
    join campaign_node n on n.customer_id = r.customer_id and n.campaign_id = r.campaign_id
      and n.version = r.version and n.node_id = r.node_id
    left join message m on m.customer_id = r.customer_id and m.run_id = r.id
    where r.customer_id = ${customerId} and r.enrollment_id = ${enrollmentId}
    order by r.id`.execute(db);
  return rows;
}

export type Timer = { runId: string; edgeId: string; dueAt: Date };

/** The timers of an enrollment that run, in the order in which they are due. */
export async function selectTimers(db: Db, customerId: string, enrollmentId: string): Promise<Timer[]> {
  const { rows } = await sql<Timer>`
    select run_id as "runId", edge_id as "edgeId", due_at as "dueAt" from edge_timer
    where customer_id = ${customerId} and enrollment_id = ${enrollmentId}
    order by due_at, run_id, edge_id`.execute(db);
  return rows;
}

/** The edges that have fired for an enrollment, in that order. */
export async function selectFiredEdges(
  db: Db,
  customerId: string,
  enrollmentId: string,
): Promise<FiredEdge[]> {
  const { rows } = await sql<FiredEdge>`
    select edge_id as "edgeId", round, fired_at as "firedAt", event_id as "eventId" from edge_firing
    where customer_id = ${customerId} and enrollment_id = ${enrollmentId}
    order by fired_at, event_id, edge_id`.execute(db);
  return rows;
}
