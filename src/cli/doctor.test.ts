import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { openSpool } from "../spool/spool.ts";
import { loadSecrets, secretsPath } from "../storage/secrets.ts";
import { checkDataDir, checkPublicUrl, checkSecrets, checkSpools, judgeClock } from "./doctor.ts";

let root: string;

beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "edgr-doctor-"));
});

afterAll(() => rm(root, { recursive: true }));

test.each([
  ["http://localhost:3000", "warn"],
  ["https://127.0.0.1", "warn"],
  ["https://[::1]:3000", "warn"],
  ["http://edgr.example.com", "warn"],
  ["https://edgr.example.com", "ok"],
] as const)("the public address %s is judged %s", (address, status) => {
  expect(checkPublicUrl(address).status).toBe(status);
});

test.each([
  [1_000, "ok"],
  [-1_900, "ok"],
  [3_100, "warn"],
  [-3_000, "warn"],
] as const)("a database clock %d ms away is judged %s", (skewMs, status) => {
  expect(judgeClock(new Date(10_000 + skewMs), 10_000, 10_050).status).toBe(status);
});

test("hits that wait, and those that the database refused, are shown with the reason while EDGR runs", () => {
  const dir = path.join(root, "spooling");
  expect(checkSpools(dir)).toEqual([
    { status: "ok", subject: "spool", text: "no hits wait for the database" },
  ]);
  const spool = openSpool(dir, { maxBytes: 1024 ** 2, maxEvents: 100 }, Date.now);
  const id = newId();
  const event = newEvent({ id, type: "email_opened", at: new Date(), customerId: newId() });
  spool.append([{ kind: "event", event }]);
  spool.settle(1, [{ number: 1, reason: "invalid byte sequence" }]);
  spool.append([{ kind: "event", event }]);
  const findings = checkSpools(dir);
  spool.close();
  expect(findings.map(({ status }) => status)).toEqual(["warn", "warn", "warn"]);
  expect(findings.map(({ text }) => text)).toEqual([
    expect.stringContaining("1 hit(s) wait for the database in"),
    expect.stringContaining("1 entries that the database refused are kept whole in"),
    expect.stringMatching(new RegExp(`event ${id}: invalid byte sequence$`)),
  ]);
});

test("a data directory that others may write in is warned about, and one that is not there is not", async () => {
  const dir = path.join(root, "data");
  expect((await checkDataDir(dir)).status).toBe("ok");
  await mkdir(dir);
  await chmod(dir, 0o777);

  expect(await checkDataDir(dir)).toMatchObject({
    status: "warn",
    text: expect.stringContaining("chmod go-w"),
  });
});

test("secrets that are open to others are warned about, damaged ones fail, and neither is touched", async () => {
  const dir = path.join(root, "secrets");
  expect((await checkSecrets(dir)).status).toBe("ok");
  await loadSecrets(dir, new Date(), () => {});
  expect((await checkSecrets(dir)).status).toBe("ok");

  await chmod(secretsPath(dir), 0o644);
  expect(await checkSecrets(dir)).toMatchObject({ status: "warn" });
  expect(await checkSecrets(dir)).toMatchObject({ status: "warn" });
  await writeFile(secretsPath(dir), "{}");
  expect(await checkSecrets(dir)).toMatchObject({
    status: "fail",
    text: expect.stringContaining("is damaged"),
  });
});
