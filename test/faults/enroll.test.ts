import { expect, test } from "bun:test";
import { sql } from "kysely";
import { openStorage } from "../../src/storage/open.ts";
import { type Db, openDatabase } from "../../src/storage/pool.ts";
import type { EdgrProcess } from "../support/edgr-process.ts";
import { until, useInstallation } from "../support/installation.ts";

const KEY = "edgr_test_key_of_the_enroll_test_0123456789";
const PEOPLE = 60_500;
const KILLS = 3;

const here = useInstallation();

const CAMPAIGN = {
  name: "Waits",
  nodes: [
    { id: "pause", type: "wait", duration: "P2D" },
    { id: "end", type: "exit" },
  ],
  edges: [{ id: "e1", from: "pause", to: "end", firesWhen: "always" }],
};

type Answer = { id: string; status: string; selected: number; enrolled: number };

async function call(edgr: EdgrProcess, method: string, path: string, body?: object): Promise<Answer> {
  const response = await fetch(`${edgr.url}/api/v1${path}`, {
    method,
    headers: { Authorization: `Bearer ${KEY}`, "Content-Type": "application/json" },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const answer: Answer = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

async function withDatabase<Result>(work: (db: Db) => Promise<Result>): Promise<Result> {
  const { dataDir } = here;
  const storage = await openStorage({ databaseUrl: null, dataDir, purpose: "command", onLost: () => {} });
  const database = openDatabase(storage.connection, 2);
  try {
    return await work(database.db);
  } finally {
    await database.close();
    await storage.stop();
  }
}

test("an enroll job whose process is killed again and again enrolls everybody once", async () => {
  const start = () => here.start({ env: { ...here.env(), EDGR_API_KEY: KEY } });
  let edgr = await start();
  await withDatabase((db) =>
    sql`
      insert into contact (customer_id, id, email)
      select customer_id, new_id(), 'c' || n || '@example.com' from customer, generate_series(1, ${PEOPLE}::int) n`.execute(
      db,
    ),
  );
  const campaign = await call(edgr, "POST", "/campaigns", CAMPAIGN);
  await call(edgr, "POST", `/campaigns/${campaign.id}/activate`);
  const { id } = await call(edgr, "POST", `/campaigns/${campaign.id}/enroll`, { all: true });
  const progress = () => call(edgr, "GET", `/campaigns/${campaign.id}/enroll-jobs/${id}`);

  for (let kills = 0; kills < KILLS; kills += 1) {
    const { selected } = await progress();
    await until(async () => (await progress()).selected > selected);
    edgr.child.kill("SIGKILL");
    await edgr.ended;
    edgr = await start();
  }
  await until(async () => (await progress()).status !== "running");

  expect(await progress()).toMatchObject({ status: "completed", selected: PEOPLE, enrolled: PEOPLE });
  const { rows } = await withDatabase((db) =>
    sql`
      select count(*) as enrollments, count(distinct contact_id) as people,
        (select count(*) from event_log where type = 'campaign_started') as events
      from enrollment`.execute(db),
  );
  expect(rows).toEqual([{ enrollments: PEOPLE, people: PEOPLE, events: PEOPLE }]);
});
