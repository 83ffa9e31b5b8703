// What `spool.test.ts` does in a few seconds, for a minute and with more people: `bun test/faults/outage-60s.ts`.
import { chmod, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { alignColumns } from "../../src/cli/columns.ts";
import { runOutage } from "../support/outage.ts";

const root = await mkdtemp(path.join(os.tmpdir(), "edgr-outage-"));
await chmod(root, 0o755);
try {
  const figures = await runOutage({ root, seconds: 60, connections: 32, contacts: 2_000 });
  const { answers, duringOutage, spooled, drainedPerSecond, wrong } = figures;
  const answered = answers.filter(({ said }) => said !== "none" && said !== "later");
  const kept = answers.filter(({ said }) => said === "kept");
  console.log(
    alignColumns([
      ["hits answered", `${answered.length}`],
      ["broken off by the kills", `${answers.length - answered.length}`],
      ["answered during the outage", `${duringOutage.answered}`],
      ["refused during the outage", `${duringOutage.refused}`],
      [
        "p50 / p99 / longest during the outage",
        [duringOutage.p50Ms, duringOutage.p99Ms, duringOutage.maxMs]
          .map((ms) => `${ms.toFixed(1)} ms`)
          .join(" / "),
      ],
      ["unsubscribes and returns only kept", `${kept.length}`],
      ["in the spool when PostgreSQL came back", `${spooled}`],
      ["drained, the kill and new hits included", `${Math.round(drainedPerSecond)}/s`],
      ["wrong", `${wrong.length}`],
    ]),
  );
  for (const line of wrong.slice(0, 20)) console.log(line);
  process.exitCode = wrong.length === 0 && duringOutage.refused === 0 ? 0 : 1;
} finally {
  await rm(root, { recursive: true, force: true });
}
