import { describe, expect, test } from "bun:test";
import { mkdir, readdir } from "node:fs/promises";
import net from "node:net";
import { useInstallation } from "../support/installation.ts";

const here = useInstallation();
const COMMANDS = ["serve", "migrate", "api-key", "token", "doctor"];

describe("help", () => {
  test("lists every command and needs no configuration", async () => {
    const { code, output } = await here.run(["--help"], { env: { PORT: "wrong" } });

    expect(code).toBe(0);
    for (const command of COMMANDS) expect(output).toContain(`\n  ${command} `);
  });

  test.each(COMMANDS)("%s --help shows how to use it, with an example", async (command) => {
    const { code, output } = await here.run([command, "--help"]);

    expect(code).toBe(0);
    expect(output).toContain(`Usage: edgr ${command}`);
    expect(output).toContain("npx edgr ");
  });
});

test.each([
  [["fly"], 'There is no command "fly".'],
  [["migrate", "--now"], "Unknown option '--now'"],
  [["migrate", "now"], '"now" is one word too many.'],
  [["api-key"], "Say create, list or revoke."],
  [["api-key", "paint"], 'There is no "api-key paint".'],
  [["api-key", "create", "--name"], "argument missing"],
  [["api-key", "create", "--name", " "], "A name must not be empty."],
  [["api-key", "revoke"], "Say which key"],
  [["token", "inspect"], 'Say "token inspect <token>".'],
])("%j is answered with help and exit code 2", async (args, complaint) => {
  const { code, output } = await here.run(args);

  expect(code).toBe(2);
  expect(output).toContain(complaint);
  expect(output).toContain("Usage: edgr");
});

test("a key is created, listed, revoked by its prefix, and no longer revocable", async () => {
  const created = await here.run(["api-key", "create", "--customer", "acme", "--name", "laptop"]);
  const key = created.output.split("\n")[0] ?? "";
  expect(key).toMatch(/^edgr_/);

  const listed = await here.run(["api-key", "list"]);
  expect(listed.output).toMatch(/acme +laptop/);
  expect(listed.output).not.toContain(key);

  const prefix = key.slice(0, 10);
  expect(await here.run(["api-key", "revoke", prefix])).toMatchObject({ code: 0 });
  expect(await here.run(["api-key", "revoke", prefix])).toEqual({
    code: 1,
    output: `No active API key has the id or prefix "${prefix}".\n`,
  });
  await here.gone();
});

describe("doctor", () => {
  test("finds nothing wrong before the first start, and makes nothing", async () => {
    const { code, output } = await here.run(["doctor"]);

    expect(code).toBe(0);
    expect(output).toMatch(/^ok +database +embedded; not there yet/m);
    expect(await readdir(here.root)).toEqual([]);
  });

  test("sees the database, the schema and EDGR itself beside a running EDGR", async () => {
    const edgr = await here.start();
    const port = new URL(edgr.url).port;

    const { code, output } = await here.run(["doctor"], { env: { ...here.env(), PORT: port } });

    expect(code).toBe(0);
    expect(output).toMatch(/^ok +database +embedded, PostgreSQL 18/m);
    expect(output).toMatch(/^ok +migrations +up to date/m);
    expect(output).toMatch(/^ok +port +EDGR answers on/m);
  });

  test("fails on a wrong setting, on a taken port and on a database that is not there", async () => {
    await mkdir(here.dataDir);
    const taken = net.createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const address = taken.address();
    const port = typeof address === "object" ? String(address?.port) : "";

    const wrong = await here.run(["doctor"], { env: { PORT: "many" } });
    const { code, output } = await here.run(["doctor"], {
      env: { ...here.env(), PORT: port, DATABASE_URL: "postgres://someone:hunter2@127.0.0.1:1/edgr" },
    });
    taken.close();

    expect(wrong).toMatchObject({ code: 1, output: expect.stringMatching(/^fail +configuration/) });
    expect(code).toBe(1);
    expect(output).toMatch(/^fail +database +The database at 127\.0\.0\.1:1\/edgr cannot be used/m);
    expect(output).toMatch(/^fail +port +EDGR cannot listen/m);
    expect(output).not.toContain("hunter2");
  });
});
