import { afterEach, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { chown, readdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { type EdgrProcess, launchEdgr } from "../support/edgr-process.ts";
import { until, useInstallation } from "../support/installation.ts";

const isRoot = process.getuid?.() === 0;
const here = useInstallation();
const strangers: ChildProcess[] = [];

afterEach(() => {
  for (const stranger of strangers.splice(0)) stranger.kill("SIGKILL");
});

describe("a stop leaves no process behind and answers 0", () => {
  test("after SIGTERM", async () => {
    const edgr = await here.start();
    expect((await fetch(`${edgr.url}/healthz`)).status).toBe(200);

    edgr.child.kill("SIGTERM");

    expect(await edgr.ended).toBe(0);
    await expectNothingLeft();
    expect(await readFile(path.join(here.dataDir, "postgres.log"), "utf8")).toContain(
      "database system is shut down",
    );
  });

  test("after Ctrl-C in a terminal, which reaches Node and Bun alike", async () => {
    const edgr = await here.start({ through: "node" });

    process.kill(-groupOf(edgr), "SIGINT");

    expect(await edgr.ended).toBe(0);
    await expectNothingLeft();
  });

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("after %s to Node alone", async (signal) => {
    const edgr = await here.start({ through: "node" });

    edgr.child.kill(signal);

    expect(await edgr.ended).toBe(0);
    await expectNothingLeft();
  });

  test("after a signal that comes before it runs", async () => {
    const starting = launchEdgr(["serve"], { env: here.env() });
    // The first thing a start leaves on disk; nothing serves yet.
    await until(async () => (await readdir(here.root)).includes("data"));
    starting.child.kill("SIGTERM");

    expect(await starting.ended).toBe(0);
    await expectNothingLeft();
  });
});

describe("a killed predecessor is recovered from", () => {
  test("kill -9 of EDGR: the database it left running is taken over", async () => {
    const first = await here.start();
    const postmaster = await here.postmasterPid();
    first.child.kill("SIGKILL");
    await first.ended;

    const second = await here.start();

    expect((await fetch(`${second.url}/healthz`)).status).toBe(200);
    expect(await here.postmasterPid()).toBe(postmaster);
    second.child.kill("SIGTERM");
    expect(await second.ended).toBe(0);
    await expectNothingLeft();
  });

  test("kill -9 of EDGR and of PostgreSQL: what was written is there", async () => {
    const first = await here.start();
    const { output } = await here.run(["api-key", "create", "--name", "survivor"]);
    expect(output).toContain("survivor");
    first.child.kill("SIGKILL");
    process.kill((await here.postmasterPid()) ?? 0, "SIGKILL");
    await first.ended;

    await here.start();

    expect((await here.run(["api-key", "list"])).output).toContain("survivor");
  });

  test("kill -9 of Node: EDGR notices, drains and leaves", async () => {
    const edgr = await here.start({ through: "node" });

    edgr.child.kill("SIGKILL");

    await here.gone();
    expect(await readFile(path.join(here.dataDir, "postgres.log"), "utf8")).toContain(
      "database system is shut down",
    );
  });

  test("a lock file whose process number is somebody else's by now", async () => {
    const first = await here.start();
    first.child.kill("SIGTERM");
    await first.ended;
    const { uid, gid } = await stat(path.join(here.dataDir, "postgres"));
    const stranger = spawn("sleep", ["600"], { stdio: "ignore", ...(isRoot ? { uid, gid } : {}) });
    strangers.push(stranger);
    const lockFile = path.join(here.dataDir, "postgres/postmaster.pid");
    await writeFile(lockFile, `${stranger.pid}\n${path.join(here.dataDir, "postgres")}\n1\n5432\n\n\n`);
    await chown(lockFile, uid, gid);

    const second = await here.start();

    expect((await fetch(`${second.url}/healthz`)).status).toBe(200);
  });

  test("EDGR leaves with an error when its database is stopped underneath it", async () => {
    const edgr = await here.start();

    process.kill((await here.postmasterPid()) ?? 0, "SIGINT");

    expect(await edgr.ended).toBe(1);
    expect(edgr.output()).toContain("the embedded database has stopped by itself");
  });
});

describe("two at once", () => {
  test("a second EDGR on the same data directory is refused by name, and the first goes on", async () => {
    const first = await here.start();

    const second = await here.run(["serve"]);

    expect(second.code).toBe(1);
    expect(second.output.trim()).toBe(
      `EDGR is already running on ${here.dataDir} (process ${first.child.pid}).`,
    );
    expect((await fetch(`${first.url}/healthz`)).status).toBe(200);
  });

  test("two first starts at the same moment: one serves, one is refused", async () => {
    const attempts = await Promise.allSettled([here.start(), here.start()]);

    expect(attempts.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(String(attempts.find((attempt) => attempt.status === "rejected")?.reason)).toContain(
      "EDGR is already running on",
    );
  });

  test("commands work beside a running EDGR and leave it alone", async () => {
    const edgr = await here.start();

    const created = await here.run(["api-key", "create", "--customer", "acme"]);
    const migrated = await here.run(["migrate"]);

    expect(created).toMatchObject({ code: 0 });
    expect(created.output).toMatch(/^edgr_\S{43}\n/);
    expect(migrated).toEqual({ code: 0, output: "The database is up to date.\n" });
    expect((await fetch(`${edgr.url}/healthz`)).status).toBe(200);
  });

  test("commands at the same moment, with nothing running, all succeed and stop what they started", async () => {
    const names = ["one", "two", "three"];

    const created = await Promise.all(names.map((name) => here.run(["api-key", "create", "--name", name])));

    for (const command of created) expect(command).toMatchObject({ code: 0 });
    const { output } = await here.run(["api-key", "list"]);
    for (const name of names) expect(output).toContain(name);
    await expectNothingLeft();
  });
});

async function expectNothingLeft(): Promise<void> {
  await here.gone();
  expect(await here.postmasterPid()).toBeNull();
}

function groupOf(edgr: EdgrProcess): number {
  if (edgr.child.pid === undefined) throw new Error("EDGR has no process");
  return edgr.child.pid;
}
