import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const START_TIMEOUT_MS = 60_000;
const POLL_MS = 10;

export type BenchServer = {
  origin: string;
  /** From the process's start to its first answer. */
  startMs: number;
  rssMiB(): Promise<number>;
  /** The most it has had since it started. */
  peakRssMiB(): Promise<number>;
  stop(): Promise<void>;
};

/** EDGR as it is installed, in a process of its own, on this data directory. */
export async function startServer(
  dataDir: string,
  port: number,
  env: Record<string, string> = {},
): Promise<BenchServer> {
  const begun = performance.now();
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL("../src/main.ts", import.meta.url)), "serve"],
    {
      stdio: ["ignore", "ignore", "inherit"],
      env: {
        ...process.env,
        ...env,
        DATABASE_URL: "",
        EDGR_DATA_DIR: dataDir,
        HOST: "127.0.0.1",
        PORT: String(port),
        LOG_LEVEL: "error",
      },
    },
  );
  const origin = `http://127.0.0.1:${port}`;
  await waitUntilAnswers(`${origin}/healthz`);
  return {
    origin,
    startMs: performance.now() - begun,
    rssMiB: () => readMemory(child, "VmRSS"),
    peakRssMiB: () => readMemory(child, "VmHWM"),
    stop: () =>
      new Promise((resolve) => {
        child.once("exit", () => resolve());
        child.kill("SIGTERM");
      }),
  };
}

export async function waitUntilAnswers(url: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      await (await fetch(url)).arrayBuffer();
      return;
    } catch {
      if (performance.now() > deadline) throw new Error(`${url} does not answer`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

async function readMemory(child: ChildProcess, which: "VmRSS" | "VmHWM"): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, "utf8");
  return Number(new RegExp(`${which}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
}
