import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { loadSecrets, readSecrets, secretsPath } from "./secrets.ts";

let root: string;
const NOW = new Date("2026-01-02T03:04:05Z");

beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "edgr-secrets-"));
});

afterAll(() => rm(root, { recursive: true }));

test("the first start makes secrets that every later start finds again", async () => {
  const dir = path.join(root, "new");

  const made = await loadSecrets(dir, NOW, unexpected);

  expect(made.encryptionKey).toHaveLength(32);
  expect(made.signingKeys).toHaveLength(1);
  expect(made.signingKeys[0]).toMatchObject({ kid: "1", retired: false });
  expect(made.signingKeys[0]?.secret).toHaveLength(32);
  expect(await loadSecrets(dir, NOW, unexpected)).toEqual(made);
  expect(await readdir(dir)).toEqual(["secrets.json"]);
});

test("starts at the same moment agree on one set", async () => {
  const dir = path.join(root, "at-once");

  const all = await Promise.all(Array.from({ length: 20 }, () => loadSecrets(dir, NOW, unexpected)));

  const keys = all.map((secrets) => secrets.encryptionKey.toString("hex"));
  expect(new Set(keys).size).toBe(1);
  expect(await readdir(dir)).toEqual(["secrets.json"]);
});

test("only their owner can read the file and its folder", async () => {
  const dir = path.join(root, "private");

  await loadSecrets(dir, NOW, unexpected);

  expect((await stat(secretsPath(dir))).mode & 0o777).toBe(0o600);
  expect((await stat(dir)).mode & 0o777).toBe(0o700);
});

test("a file open to others is closed, with a warning that names it", async () => {
  const dir = path.join(root, "open");
  const made = await loadSecrets(dir, NOW, unexpected);
  await chmod(secretsPath(dir), 0o644);
  const warnings: string[] = [];

  expect(await loadSecrets(dir, NOW, (message) => warnings.push(message))).toEqual(made);

  expect((await stat(secretsPath(dir))).mode & 0o777).toBe(0o600);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain(secretsPath(dir));
});

test.each([
  ["cut in the middle", (text: string) => text.slice(0, 60)],
  ["empty", () => ""],
  ["of zeros", (text: string) => "\0".repeat(text.length)],
  ["with a short key", (text: string) => text.replace(/"encryptionKey": "[^"]+"/, '"encryptionKey": "AAAA"')],
  ["with every key retired", (text: string) => text.replace('"retired": false', '"retired": true')],
])("a file %s is refused by name and left as it is", async (name, damage) => {
  const dir = path.join(root, `damaged ${name}`);
  await loadSecrets(dir, NOW, unexpected);
  const damaged = damage(await readFile(secretsPath(dir), "utf8"));
  await writeFile(secretsPath(dir), damaged);

  await expect(loadSecrets(dir, NOW, unexpected)).rejects.toThrow(`${secretsPath(dir)} is damaged`);

  expect(await readFile(secretsPath(dir), "utf8")).toBe(damaged);
});

test("reading before the first start finds nothing and makes nothing", async () => {
  const dir = path.join(root, "absent");

  expect(await readSecrets(dir)).toBeNull();
  await expect(stat(dir)).rejects.toThrow("ENOENT");
});

function unexpected(message: string): void {
  throw new Error(`unexpected warning: ${message}`);
}
