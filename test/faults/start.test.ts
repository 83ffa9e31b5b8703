import { describe, expect, test } from "bun:test";
import { chmod, chown, mkdir, readdir, stat, writeFile } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { createDatabase } from "../support/database.ts";
import { checkoutIsOpenTo } from "../support/edgr-process.ts";
import { useInstallation } from "../support/installation.ts";

const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;
const here = useInstallation();

describe("what cannot start says so in one sentence and leaves nothing running", () => {
  test("a port that is taken", async () => {
    const taken = net.createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const address = taken.address();
    const port = typeof address === "object" ? address?.port : null;

    const { code, output } = await here.run(["serve"], { env: { ...here.env(), PORT: String(port) } });
    taken.close();

    expect(code).toBe(1);
    expect(output).toBe(
      `EDGR cannot listen on 127.0.0.1:${port}: another program does already. Set PORT to another port.\n`,
    );
    await expectNothingLeft();
  });

  test("a wrong setting", async () => {
    const { code, output } = await here.run(["serve"], { env: { ...here.env(), PORT: "many" } });

    expect(code).toBe(1);
    expect(output).toBe("The configuration is wrong:\n  PORT must be a port number\n");
  });

  test("a damaged secrets file", async () => {
    await mkdir(here.dataDir);
    await writeFile(path.join(here.dataDir, "secrets.json"), "{");

    const { code, output } = await here.run(["serve"]);

    expect(code).toBe(1);
    expect(output).toContain(`${here.dataDir}/secrets.json is damaged`);
    expect(output).not.toContain("    at ");
    await expectNothingLeft();
  });

  test("a data directory that cannot be", async () => {
    await writeFile(here.dataDir, "a file");

    const { code, output } = await here.run(["serve"]);

    expect(code).toBe(1);
    expect(output).toMatch(/^The data directory \S+ is not writable \(.*\)\. Set EDGR_DATA_DIR\.\n$/);
  });

  test("a database that does not answer, without its password", async () => {
    const { code, output } = await here.run(["serve"], {
      env: { ...here.env(), DATABASE_URL: "postgres://someone:hunter2@127.0.0.1:1/edgr" },
    });

    expect(code).toBe(1);
    expect(output).toMatch(
      /^The database at 127\.0\.0\.1:1\/edgr cannot be used \(.*\)\. Check DATABASE_URL\.\n$/,
    );
    expect(output).not.toContain("hunter2");
  });
});

test("with DATABASE_URL it runs on that server and starts none of its own", async () => {
  const edgr = await here.start({ env: { ...here.env(), DATABASE_URL: await createDatabase("template1") } });

  expect((await fetch(`${edgr.url}/healthz`)).status).toBe(200);
  edgr.child.kill("SIGTERM");

  expect(await edgr.ended).toBe(0);
  expect((await readdir(here.dataDir)).toSorted()).toEqual(["secrets.json", "spool"]);
});

test("a data directory whose path is too long for a socket works", async () => {
  here.dataDir = path.join(here.root, "long".repeat(30), "data");

  const edgr = await here.start();

  expect((await fetch(`${edgr.url}/healthz`)).status).toBe(200);
  edgr.child.kill("SIGTERM");
  expect(await edgr.ended).toBe(0);
});

test("a data directory with every kind of odd character in its path works", async () => {
  here.dataDir = path.join(here.root, 'it\'s "odd", $HOME `ü` \\ 100%');

  const edgr = await here.start();

  expect((await fetch(`${edgr.url}/healthz`)).status).toBe(200);
  edgr.child.kill("SIGTERM");
  expect(await edgr.ended).toBe(0);
});

describe.if(isRoot)("as root", () => {
  test("PostgreSQL runs as somebody else, who can read nothing but its own folders", async () => {
    await here.start();

    expect((await stat(path.join(here.dataDir, "postgres"))).uid).not.toBe(0);
    expect(await stat(path.join(here.dataDir, "secrets.json"))).toMatchObject({ uid: 0, mode: 0o100600 });
  });

  test("a folder that other users cannot enter is no obstacle", async () => {
    await chmod(here.root, 0o700);

    const edgr = await here.start();

    expect((await fetch(`${edgr.url}/healthz`)).status).toBe(200);
  });

  test.if(checkoutIsOpenTo(NOBODY))("a directory that an ordinary user began stays that user's", async () => {
    await chown(here.root, NOBODY, NOBODY);
    const first = await here.start({ uid: NOBODY });
    first.child.kill("SIGTERM");
    expect(await first.ended).toBe(0);

    const second = await here.start();

    expect((await fetch(`${second.url}/healthz`)).status).toBe(200);
    expect((await stat(path.join(here.dataDir, "postgres"))).uid).toBe(NOBODY);
  });

  test.if(checkoutIsOpenTo(NOBODY))("a directory that root began tells an ordinary user so", async () => {
    await mkdir(path.join(here.dataDir, "postgres"), { recursive: true });
    await chown(here.dataDir, NOBODY, NOBODY);

    const { code, output } = await here.run(["serve"], { uid: NOBODY });

    expect(code).toBe(1);
    expect(output).toContain(
      `The database in ${here.dataDir}/postgres belongs to user 0, not to you (${NOBODY}).`,
    );
  });
});

async function expectNothingLeft(): Promise<void> {
  await here.gone();
  expect(await here.postmasterPid()).toBeNull();
}
