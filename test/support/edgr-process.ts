import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import path from "node:path";

const ROOT = path.dirname(path.dirname(import.meta.dirname));
const MAIN = path.join(ROOT, "src/main.ts");

export type EdgrProcess = LaunchedEdgr & { url: string };

export type LaunchedEdgr = {
  child: ChildProcess;
  /** Everything printed so far, both streams. */
  output(): string;
  /** The exit code, null after a signal. */
  ended: Promise<number | null>;
};

export type Ending = { code: number | null; output: string };

/** How a process is started: the environment on top of a bare one, and optionally as another user or through Node. */
export type Start = {
  env: Record<string, string>;
  through?: "bun" | "node";
  uid?: number;
};

/** Starts `edgr serve` for real on a free port and waits until it says that it runs. */
export async function startEdgr(start: Start): Promise<EdgrProcess> {
  const edgr = launchEdgr(["serve"], start);
  const { child, output, ended } = edgr;
  const url = await new Promise<string>((resolve, reject) => {
    const look = () => {
      const found = output().match(/^ *Address +(http:\S+)[\s\S]*^ *Stop/m)?.[1];
      if (found !== undefined) resolve(found);
    };
    child.stdout?.on("data", look);
    ended.then((code) => reject(new Error(`EDGR ended with ${code} instead of running:\n${output()}`)));
  });
  return { ...edgr, url };
}

/** Runs one command to its end. */
export async function runEdgr(args: readonly string[], start: Start): Promise<Ending> {
  const { output, ended } = launchEdgr(args, start);
  return { code: await ended, output: output() };
}

/** Whether another user could run this checkout: not when it is in somebody's closed folder. */
export function checkoutIsOpenTo(uid: number): boolean {
  return spawnSync("/bin/sh", ["-c", 'test -r "$1"', "sh", MAIN], { uid, gid: uid }).status === 0;
}

/** Command lines of the running processes that name `dir`. */
export function processesNaming(dir: string): string[] {
  const { stdout } = spawnSync("ps", ["-eo", "args="], { encoding: "utf8" });
  return stdout.split("\n").filter((line) => line.includes(dir));
}

/** Starts a command and waits for nothing. */
export function launchEdgr(args: readonly string[], { env, through = "bun", uid }: Start): LaunchedEdgr {
  const [file, program] =
    through === "node" ? ["node", path.join(ROOT, "bin/edgr.js")] : [process.execPath, MAIN];
  const child = spawn(file, [program, ...args], {
    env: { PATH: process.env.PATH, PORT: "0", LOG_LEVEL: "warn", ...env },
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own, so that a test can do to it what a terminal does.
    detached: true,
    cwd: "/",
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  return { child, output: () => text, ended };
}
