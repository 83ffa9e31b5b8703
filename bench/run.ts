// `npm run bench` measures hits; `npm run bench -- contacts` the suites named.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { alignColumns } from "../src/cli/columns.ts";
import { measureAnalytics } from "./analytics.ts";
import { measureContacts } from "./contacts.ts";
import { measureDeadEndpoint } from "./dead-endpoint.ts";
import { measureDeliveries } from "./deliveries.ts";
import { measureEnroll } from "./enroll.ts";
import { measureHits } from "./hits.ts";
import { createPlace, type Place } from "./place.ts";
import { measureSes } from "./ses.ts";
import type { Row } from "./table.ts";

const SUITES = new Map<string, (place: Place) => Promise<Row[]>>([
  ["hits", measureHits],
  ["analytics", measureAnalytics],
  ["ses", measureSes],
  [
    "deliveries",
    async (place) => [...(await measureDeliveries(place)), ...(await measureDeadEndpoint(place))],
  ],
  ["contacts", async (place) => [...(await measureContacts(place)), ...(await measureEnroll(place))]],
]);
const SECONDS = Number(process.env.BENCH_SECONDS ?? 10);

const asked = process.argv.slice(2);
for (const name of asked.length === 0 ? ["hits"] : asked) {
  const measure = SUITES.get(name);
  if (measure === undefined) {
    console.error(`There is no suite ${name}. There are ${[...SUITES.keys()].join(", ")}.`);
    process.exit(1);
  }
  const dir = await mkdtemp(path.join(os.tmpdir(), "edgr-bench-"));
  try {
    const rows = await measure(createPlace(dir, path.join(dir, "data"), SECONDS));
    console.log(alignColumns([[name, "measured", "reference", "ratio", "target"], ...rows.map(cells)]));
    await keep(name, rows);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function cells(row: Row): string[] {
  return [row.what, row.value, row.reference, row.ratio === null ? "" : row.ratio.toFixed(2), row.target];
}

async function keep(suite: string, rows: readonly Row[]): Promise<void> {
  const results = path.join(import.meta.dirname, "results");
  await mkdir(results, { recursive: true });
  const at = new Date().toISOString();
  const machine = {
    cpus: os.cpus().length,
    model: os.cpus()[0]?.model ?? "",
    memoryGiB: os.totalmem() / 2 ** 30,
  };
  const file = path.join(results, `${at.replaceAll(/[:.]/g, "-")}.json`);
  await writeFile(file, `${JSON.stringify({ at, suite, seconds: SECONDS, machine, rows }, null, 2)}\n`);
  console.log(`\nKept in bench/results/${path.basename(file)}`);
}
