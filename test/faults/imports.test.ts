import { expect, test } from "bun:test";
import { until, useInstallation } from "../support/installation.ts";

const KEY = "edgr_test_0123456789abcdef";
const ROWS = 120_000;
const REFUSED = 12;
const REPEATED = 20_000;
const KILLS = 3;

const here = useInstallation();

// Some rows of the beginning come again at the end, so that a row written twice would show among the counts.
function contacts(): string {
  const line = (n: number) =>
    `${n % (ROWS / REFUSED) === 0 ? "nobody" : `p${n}@example.com`},Ann ${n},"a,g${n % 7}"\n`;
  const first = Array.from({ length: ROWS }, (_, n) => line(n));
  return `email,firstName,tags\n${first.join("")}${first.slice(1, REPEATED + 1).join("")}`;
}

test("an import killed again and again is finished, and every row is counted once", async () => {
  const start = () => here.start({ env: { ...here.env(), EDGR_API_KEY: KEY } });
  let edgr = await start();
  const call = async (method: string, path: string, body: string | null = null) => {
    const headers = { Authorization: `Bearer ${KEY}`, "Content-Type": "text/csv" };
    return (await fetch(`${edgr.url}/api/v1${path}`, { method, headers, body })).json();
  };
  const { id } = await call("POST", "/contacts/imports?start=true", contacts());
  const read = () => call("GET", `/contacts/imports/${id}`);

  let done = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    await until(async () => (await read()).progress.rows > done);
    edgr.child.kill("SIGKILL");
    await edgr.ended;
    edgr = await start();
    const { status, progress } = await read();
    expect(status).toBe("running");
    done = progress.rows;
  }
  await until(async () => (await read()).status === "completed");

  const refusedAgain = Math.floor(REPEATED / (ROWS / REFUSED));
  expect((await read()).progress).toMatchObject({
    rows: ROWS + REPEATED,
    created: ROWS - REFUSED,
    updated: 0,
    unchanged: REPEATED - refusedAgain,
    refused: REFUSED + refusedAgain,
    secondsLeft: null,
  });
  const { items } = await call("GET", `/contacts/imports/${id}/refusals`);
  const every = ROWS / REFUSED;
  expect(items.map(({ row }: { row: number }) => row)).toEqual([
    ...Array.from({ length: REFUSED }, (_, n) => n * every + 2),
    ...Array.from({ length: refusedAgain }, (_, n) => ROWS + (n + 1) * every + 1),
  ]);
}, 120_000);
