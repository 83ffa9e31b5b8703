import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import path from "node:path";

export type Load = {
  requestsPerSecond: number;
  /** Answered within the run; a few more may have been under way when it ended. */
  answered: number;
  errors: number;
  p50Ms: number;
  p99Ms: number;
};

// Each thread walks the list from its own place; "done" prints one line that is easy to read back.
const SCRIPT = (paths: string, userAgent: string) => `
local paths = {}
for line in io.lines("${paths}") do paths[#paths + 1] = line end
local counter = 0
local headers = { ["User-Agent"] = "${userAgent}" }
function setup(thread) thread:set("offset", counter) counter = counter + 7919 end
local at = nil
function request()
  if at == nil then at = offset % #paths end
  at = at % #paths + 1
  return wrk.format("GET", paths[at], headers)
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.timeout + e.status, latency:percentile(50), latency:percentile(99)))
end`;

const USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0";

/** Asks for `paths` in turn, over so many connections for so long, with wrk. */
export async function load(
  dir: string,
  origin: string,
  paths: readonly string[],
  { connections, seconds }: { connections: number; seconds: number },
): Promise<Load> {
  const list = path.join(dir, "paths.txt");
  const script = path.join(dir, "load.lua");
  await writeFile(list, paths.join("\n"));
  await writeFile(script, SCRIPT(list, USER_AGENT));
  const output = await run("wrk", ["-t1", `-c${connections}`, `-d${seconds}s`, "-s", script, origin]);
  const numbers = /RESULT (\d+) (\d+) (\d+) (\d+) (\d+)/.exec(output)?.slice(1).map(Number);
  const [requests, microseconds, errors, p50, p99] = numbers ?? [];
  if (requests === undefined || microseconds === undefined || errors === undefined) {
    throw new Error(`wrk said something else: ${output}`);
  }
  return {
    requestsPerSecond: (requests / microseconds) * 1e6,
    answered: requests,
    errors,
    p50Ms: (p50 ?? 0) / 1000,
    p99Ms: (p99 ?? 0) / 1000,
  };
}

/** Runs a program to its end. @returns what it printed; rejects when it fails or is not there */
export function run(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    child.once("error", () =>
      reject(new Error(`${program} is needed and not here (apt-get install ${program})`)),
    );
    child.once("exit", (code) =>
      code === 0 ? resolve(output) : reject(new Error(`${program} failed: ${output}`)),
    );
  });
}
