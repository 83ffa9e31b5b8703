import { readdirSync, readFileSync } from "node:fs";

/** Processor time in microseconds since their start: of this process, of EDGR's, and of PostgreSQL's. */
export type Cpu = { client: number; server: number; database: number };

/** The kernel counts in hundredths of a second. */
const TICK_US = 10_000;

type Process = { pid: number; parent: number; name: string; us: number };

/** @param dataDir of an installation whose server this process has started */
export function readCpu(dataDir: string): Cpu {
  const processes = readdirSync("/proc").flatMap((pid) =>
    /^\d+$/.test(pid) ? readProcess(Number(pid)) : [],
  );
  const postmaster = processes.find(({ pid }) => readCommand(pid).includes(`${dataDir}/`));
  const server = processes.find(
    ({ pid, parent }) => parent === process.pid && readCommand(pid).includes("main.ts"),
  );
  const { user, system } = process.cpuUsage();
  return {
    client: user + system,
    server: server?.us ?? 0,
    database: processes
      .filter(({ pid, parent }) => pid === postmaster?.pid || parent === postmaster?.pid)
      .reduce((sum, { us }) => sum + us, 0),
  };
}

/** A process that has just ended is none. */
function readProcess(pid: number): Process[] {
  try {
    const [, name = "", rest = ""] = /\((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
    const fields = rest.split(" ");
    const [parent, user, system] = [fields[1], fields[11], fields[12]].map(Number);
    return [{ pid, parent: parent ?? 0, name, us: ((user ?? 0) + (system ?? 0)) * TICK_US }];
  } catch {
    return [];
  }
}

function readCommand(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
