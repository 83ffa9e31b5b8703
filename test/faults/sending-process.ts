// A process that the fault tests kill: it sends a campaign until nothing of it is queued, or takes hits on it and
// counts them until it is told to stop by being killed, or counts what there is. It ends with 0 when it is done.
//   bun sending-process.ts send|hit|count <database url> <campaign id> [<address of the Bot API>]
import { sql } from "kysely";
import { createEgress } from "../../src/egress/client.ts";
import { resolveBySystem } from "../../src/egress/resolve.ts";
import { newId } from "../../src/events/id.ts";
import { createPostgresLog } from "../../src/events/postgres-log.ts";
import { type Database, openDatabase } from "../../src/storage/pool.ts";
import { eventOf, listRuns } from "../support/campaigns.ts";
import { listMessages, type SendingOptions, startSending } from "../support/sending.ts";
import { testBotApi } from "../support/telegram.ts";

const HITS_PER_APPEND = 50;

async function main([mode, url, campaignId, apiRoot]: string[]): Promise<void> {
  if (url === undefined || campaignId === undefined) throw new Error("Say what to do");
  const database = openDatabase(url, 10);
  const sending = startSending(database, apiRoot === undefined ? {} : botsAt(apiRoot));
  switch (mode) {
    case "send":
      await sending.until(async () =>
        (await listMessages(database, campaignId)).every(({ status }) => status !== "queued"),
      );
      break;
    case "hit":
      await takeHits(database, campaignId);
      break;
    case "count":
      await sending.until(() => isProjected(database));
      break;
  }
  await sending.stop();
  await database.close();
}

function botsAt(apiRoot: string): SendingOptions {
  const egress = createEgress({ allow: ["127.0.0.0/8"], resolve: resolveBySystem });
  return { api: testBotApi({ apiRoot, egress }) };
}

/** Appends openings for ever, and prints the ids of each group when the log has acknowledged it. */
async function takeHits(database: Database, campaignId: string): Promise<void> {
  const log = createPostgresLog(database.pool, () => {});
  const runs = await listRuns(database.db, campaignId);
  for (;;) {
    const events = Array.from({ length: HITS_PER_APPEND }, (_, index) => {
      const run = runs[index % runs.length];
      if (run === undefined) throw new Error("Nobody is enrolled");
      return eventOf(run, "email_opened", { id: newId(), agent: "human", agentRule: "browser" });
    });
    await log.append(events);
    process.stdout.write(`${events.map(({ id }) => id).join(" ")}\n`);
  }
}

async function isProjected({ db }: Database): Promise<boolean> {
  const { rows } = await sql<{ isDone: boolean }>`
    select not exists (
      select from event_log where position > (select position from projector_cursor)) as "isDone"`.execute(
    db,
  );
  return rows[0]?.isDone === true;
}

await main(process.argv.slice(2));
process.exit(0);
