import { AppError } from "../errors.ts";
import { type Rebuilt, rebuild } from "../projector/rebuild.ts";
import { pendingMigrations } from "../storage/migrate.ts";
import type { Db } from "../storage/pool.ts";
import { alignColumns } from "./columns.ts";
import { type Command, parseOptions, UsageError } from "./command.ts";
import { withDatabase } from "./with-database.ts";

/** Positions at once: large enough for its statements, small enough to tell how far it is. */
const LIMIT = 10_000;
const STEPS_SHOWN = 10;

export const replay: Command = {
  summary: "derive activity, counters and outputs from the log again and compare",
  help: `Usage: edgr replay --rebuild

Derives from the event log again what EDGR keeps beside it: contacts' activity, the outputs of runs and all counters.
It does so in temporary tables, compares with what is there, and says what is missing, too much or different. Nothing is
changed, and EDGR may go on sending meanwhile. A log of ten million events takes some minutes and as much space again.
Exit code 1 when something is not the same. Customers that keep their log for a limited time are compared in the
activity of that time only.

To send events to webhook endpoints again, use POST /api/v1/webhooks/replays.

Example:
  npx edgr replay --rebuild`,

  async run(args, terminal) {
    const { values } = parseOptions(args, { rebuild: { type: "boolean" } }, 0);
    if (values.rebuild !== true) throw new UsageError('Say "replay --rebuild".');
    const rebuilt = await withDatabase(terminal.config(), async (db) => {
      await refuseOtherVersion(db);
      return rebuild(db, { limit: LIMIT, onProgress: showProgress(terminal.print) });
    });
    for (const line of describeRebuilt(rebuilt)) terminal.print(line);
    return isSame(rebuilt) ? 0 : 1;
  },
};

async function refuseOtherVersion(db: Db): Promise<void> {
  if ((await pendingMigrations(db)).length === 0) return;
  throw new AppError(
    "conflict",
    'The database has another version\'s schema: "npx edgr migrate" brings it to this one.',
  );
}

/** Says a few times how far it is, of a log of whatever length. */
function showProgress(print: (text: string) => void) {
  let shown = 0;
  return ({ position, of }: { position: number; of: number }) => {
    const step = Math.floor((position / of) * STEPS_SHOWN);
    if (step === shown) return;
    shown = step;
    print(`${position} of ${of} positions of the log`);
  };
}

/** What came of it, line by line. */
export function describeRebuilt(rebuilt: Rebuilt): string[] {
  const head = ["", "there", "by the log", "missing", "too much", "different"];
  const rows = rebuilt.tables.map((one) => [
    one.table,
    ...[one.live, one.rebuilt, one.missing, one.extra, one.different].map(String),
  ]);
  const examples = rebuilt.tables.flatMap(({ table, examples }) =>
    examples.map((key) => `  ${table} ${JSON.stringify(key)}`),
  );
  return [
    alignColumns([head, ...rows]),
    isSame(rebuilt) ? "All is as the log says." : "Not all is as the log says. Some of it:",
    ...examples,
  ];
}

function isSame({ tables }: Rebuilt): boolean {
  return tables.every(({ missing, extra, different }) => missing + extra + different === 0);
}
