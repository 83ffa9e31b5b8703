import { afterEach, beforeEach } from "bun:test";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  type EdgrProcess,
  type Ending,
  processesNaming,
  runEdgr,
  type Start,
  startEdgr,
} from "./edgr-process.ts";

export type Installation = {
  /** A folder of the test's own; the data directory is in it and not there yet. */
  root: string;
  dataDir: string;
  env(): Record<string, string>;
  /** Starts EDGR on it; killed after the test. */
  start(start?: Partial<Start>): Promise<EdgrProcess>;
  run(args: readonly string[], start?: Partial<Start>): Promise<Ending>;
  postmasterPid(): Promise<number | null>;
  /** Waits until no process of it is left. */
  gone(): Promise<void>;
};

/** A new installation for every test of the file, of which nothing is left afterwards, processes included. */
export function useInstallation(): Installation {
  const started: EdgrProcess[] = [];
  const installation: Installation = {
    root: "",
    dataDir: "",
    // A socket whose path is too long goes to TMPDIR.
    env: () => ({ EDGR_DATA_DIR: installation.dataDir, TMPDIR: installation.root }),
    async start(start) {
      const edgr = await startEdgr({ env: installation.env(), ...start });
      started.push(edgr);
      return edgr;
    },
    run: (args, start) => runEdgr(args, { env: installation.env(), ...start }),
    async postmasterPid() {
      const file = path.join(installation.dataDir, "postgres/postmaster.pid");
      const text = await readFile(file, "utf8").catch(() => null);
      return text === null ? null : Number.parseInt(text, 10);
    },
    gone: () => until(async () => processesNaming(installation.dataDir).length === 0),
  };

  beforeEach(async () => {
    installation.root = await mkdtemp(path.join(os.tmpdir(), "edgr-life-"));
    await chmod(installation.root, 0o755);
    installation.dataDir = path.join(installation.root, "data");
  });

  afterEach(async () => {
    for (const { child } of started.splice(0)) child.kill("SIGKILL");
    const postmaster = await installation.postmasterPid();
    if (postmaster !== null && processesNaming(installation.dataDir).length > 0)
      process.kill(postmaster, "SIGQUIT");
    await installation.gone();
    await rm(installation.root, { recursive: true, force: true });
  });

  return installation;
}

export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(20);
}
