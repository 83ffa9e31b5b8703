import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { loadSecrets, secretsPath } from "../storage/secrets.ts";
import { checkDataDir, checkPublicUrl, checkSecrets, judgeClock } from "./doctor.ts";

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
