import { setTimeout as delay } from "node:timers/promises";
import { sql } from "kysely";
import type { Db } from "../../src/storage/pool.ts";
import type { Answer } from "./edge-load.ts";

type Recorded = { hit: string; type: string; position: number };

const TYPES = {
  pixel: "email_opened",
  click: "email_clicked",
  unsubscribe: "unsubscribed",
  resubscribe: "resubscribed",
};

/**
 * Waits until everything is projected and compares the log, the activity, the counters and the suppressions with what
 * people were told.
 * @returns what is not so, in words
 */
export async function findWrong(db: Db, answers: readonly Answer[]): Promise<string[]> {
  await projected(db);
  const { rows: logged } = await sql<Recorded>`
    select substring(user_agent from 'hit/.*') as hit, type, position from event_log
    where user_agent like '%hit/%' order by position`.execute(db);
  const { rows: shown } = await sql<Recorded>`
    select substring(user_agent from 'hit/.*') as hit, type, 0 as position from activity
    where user_agent like '%hit/%'`.execute(db);
  return [
    ...misrecorded("log", answers, logged),
    ...misrecorded("activity", answers, shown),
    ...overtaken(answers, logged),
    ...(await miscounted(db, logged)),
    ...(await missuppressed(db, answers)),
  ];
}

/** Once for what was answered, at most once for what nobody knows about, never for what was not asked. */
function misrecorded(where: string, answers: readonly Answer[], recorded: readonly Recorded[]): string[] {
  const counts = new Map<string, number>();
  for (const { hit, type } of recorded) counts.set(`${hit} ${type}`, (counts.get(`${hit} ${type}`) ?? 0) + 1);
  const wrong = answers.flatMap(({ hit, kind, said }) => {
    const key = `${hit} ${TYPES[kind]}`;
    const count = counts.get(key) ?? 0;
    counts.delete(key);
    const isRight = said === "none" || said === "later" ? count <= 1 : count === 1;
    return isRight ? [] : [`${where}: ${key}, answered "${said}", is there ${count} times`];
  });
  return [...wrong, ...[...counts.keys()].map((key) => `${where}: nobody asked for ${key}`)];
}

/** What was answered before something else was asked stands before it in the log. */
function overtaken(answers: readonly Answer[], logged: readonly Recorded[]): string[] {
  const positions = new Map(logged.map(({ hit, position }) => [hit, position]));
  const recorded = answers.flatMap((answer) => {
    const position = positions.get(answer.hit);
    return position === undefined || answer.said === "none" ? [] : [{ ...answer, position }];
  });
  const ended = recorded.toSorted((a, b) => a.atMs + a.tookMs - (b.atMs + b.tookMs));
  const wrong: string[] = [];
  let next = 0;
  let highest = { hit: "", position: -1 };
  for (const later of recorded.toSorted((a, b) => a.atMs - b.atMs)) {
    for (; next < ended.length; next += 1) {
      const before = ended[next];
      if (before === undefined || before.atMs + before.tookMs >= later.atMs) break;
      if (before.position > highest.position) highest = before;
    }
    if (later.position < highest.position) wrong.push(`${later.hit} overtook ${highest.hit}`);
  }
  return wrong;
}

async function miscounted(db: Db, logged: readonly Recorded[]): Promise<string[]> {
  const { rows } = await sql<{ type: string; total: number }>`
    select type, sum(total)::int as total from counter group by type`.execute(db);
  const totals = new Map(rows.map(({ type, total }) => [type, total]));
  return Object.values(TYPES).flatMap((type) => {
    const events = logged.filter((event) => event.type === type).length;
    const counted = totals.get(type) ?? 0;
    return counted === events ? [] : [`${type} is counted ${counted} times for ${events} events`];
  });
}

async function missuppressed(db: Db, answers: readonly Answer[]): Promise<string[]> {
  const { rows } = await sql<{ runId: string }>`
    select m.run_id as "runId" from suppression s
    join message m on m.customer_id = s.customer_id and m.id = s.message_id`.execute(db);
  const suppressed = new Set(rows.map(({ runId }) => runId));
  const last = new Map<string, Answer>();
  for (const answer of answers) {
    if (answer.kind === "unsubscribe" || answer.kind === "resubscribe") last.set(answer.runId, answer);
  }
  return [...last.values()].flatMap(({ hit, kind, runId, said }) => {
    if (said === "none" || said === "later") return [];
    const isRight = suppressed.has(runId) === (kind === "unsubscribe");
    return isRight ? [] : [`${hit}: the page said that ${kind} is ${said}, and it is not so`];
  });
}

async function projected(db: Db): Promise<void> {
  for (;;) {
    const { rows } = await sql<{ behind: boolean }>`
      select exists (select from event_log where position > (select position from projector_cursor)) as behind`.execute(
      db,
    );
    if (rows[0]?.behind === false) return;
    await delay(50);
  }
}
