import { lookup, Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { createSlots } from "../slots.ts";

/** All that a name leads to. Rejects when it can't be found, or not in time. */
export type Resolve = (host: string) => Promise<{ address: string; family: number }[]>;

export type ResolveOptions = {
  /** `host:port` of name servers; null: the machine's own. */
  servers: readonly string[] | null;
  hostsFile: string;
  /** Asks the system, as every other program on the machine would. */
  system: Resolve;
};

const TIMEOUT_MS = 2_000;
const TRIES = 2;
/** For the system; more than these are taken for unknown. */
const MAX_WAITING = 16;

/**
 * Finds names without occupying the system's look-ups. These are made by a few threads, and a name server that is dead
 * keeps one for ten seconds: with 40 such names at once, a good one took 30 seconds on two cores. So name servers are
 * asked directly, by any number of questions at a time. What they don't know goes to the system after all, one at a
 * time (search domains, other directories); names of the hosts file and those without a dot, at once.
 */
export function createResolve({ servers, hostsFile, system }: ResolveOptions): Resolve {
  const inTurn = createSlots({ slots: 1, maxWaiting: MAX_WAITING });

  return async (host) => {
    if (isIP(host) !== 0 || !host.slice(0, -1).includes(".")) return system(host);
    if ((await readHosts(hostsFile)).has(host)) return system(host);
    const answer = await ask(host, servers);
    if (answer.ok) return answer.addresses;
    const found = UNKNOWN.has(answer.error.code ?? "") ? await inTurn(() => system(host)) : null;
    if (found === null) throw answer.error;
    return found;
  };
}

export const resolveBySystem = createResolve({
  servers: null,
  hostsFile: "/etc/hosts",
  system: (host) => lookup(host, { all: true, verbatim: true }),
});

/** There is no such name, no address of it, or nobody to ask. */
const UNKNOWN = new Set(["ENOTFOUND", "ENODATA", "ECONNREFUSED"]);

type Asked =
  | { ok: true; addresses: { address: string; family: number }[] }
  | { ok: false; error: NodeJS.ErrnoException };

async function ask(host: string, servers: readonly string[] | null): Promise<Asked> {
  // A new one each time: it reads anew which name servers there are, and remembers no answer.
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  if (servers !== null) resolver.setServers(servers);
  const [four, six] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const addresses = [four, six].flatMap((kind) => (kind.status === "fulfilled" ? kind.value : []));
  if (addresses.length === 0 && four.status === "rejected") return { ok: false, error: four.reason };
  return { ok: true, addresses: addresses.map((address) => ({ address, family: isIP(address) })) };
}

/** The names in a hosts file; none where there is no such file. */
async function readHosts(file: string): Promise<Set<string>> {
  const text = await readFile(file, "utf8").catch(() => "");
  const lines = text.split("\n").map((line) => line.replace(/#.*/, "").trim().toLowerCase().split(/\s+/));
  return new Set(lines.flatMap(([, ...names]) => names));
}
