import http from "node:http";
import https from "node:https";
import type { LookupFunction } from "node:net";
import { parseRange, type Range } from "../ip-ranges.ts";
import { refusedTarget } from "./address.ts";
import { exchange } from "./exchange.ts";
import { FailedLookup } from "./failed-lookup.ts";
import { RefusedAddress } from "./refused-address.ts";
import type { Resolve } from "./resolve.ts";
import { failed, type Result } from "./result.ts";
import { checkUrl } from "./url.ts";

export type Request = {
  url: string;
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  headers: { [name: string]: string };
  body: string | null;
  /** For everything: resolving, connecting, TLS, the answer and its body. */
  deadlineMs: number;
  /** What of the answer's body is read; the rest is cut off. */
  maxBodyBytes: number;
  /**
   * What must not be done twice: where a kept connection breaks, the request does not go out again on a new one, and
   * counts as lost.
   */
  isOnce?: boolean;
};

export type Egress = {
  /**
   * One request to a public address: no redirect is followed, no proxy used, TLS is verified. Never rejects.
   */
  send(request: Request): Promise<Result>;
  /**
   * The same checks without a request, for an address that is being saved.
   * @returns null when it may be called; otherwise the reason, to follow "it "
   */
  refusal(url: string): Promise<string | null>;
  /** What of these checks needs no name to be resolved, for an address that is called much later. */
  refusalByForm(url: string): string | null;
  /** Closes the idle connections. */
  close(): void;
};

export type EgressOptions = {
  /** Ranges that may be reached on purpose (EDGR_EGRESS_ALLOW). */
  allow: readonly string[];
  resolve: Resolve;
  /** Certificates trusted instead of the system's: in tests, whose servers have certificates of their own. */
  ca?: string;
};

const MAX_SOCKETS = 256;
const IDLE_MS = 10_000;
const RESOLVE_MS = 5_000;

/**
 * The only way out of EDGR. A name is resolved once for a connection, every address it leads to is checked, and the
 * connection is made to those addresses: what the name says a moment later (DNS rebinding) changes nothing.
 */
export function createEgress({ allow, resolve, ca }: EgressOptions): Egress {
  const allowed = allow.map(parseRange);
  const keep = { keepAlive: true, maxSockets: MAX_SOCKETS, timeout: IDLE_MS };
  const agents = {
    "http:": new http.Agent(keep),
    "https:": new https.Agent(keep),
  };

  async function send(request: Request): Promise<Result> {
    const checked = checkUrl(request.url, allowed);
    if (!checked.ok) return failed("refused", `The address ${checked.reason}.`);
    const { url, host, port } = checked;
    const isSecure = url.protocol === "https:";
    return exchange({
      request: isSecure ? https.request : http.request,
      options: {
        agent: isSecure ? agents["https:"] : agents["http:"],
        host,
        port,
        path: url.pathname + url.search,
        method: request.method,
        headers: { "User-Agent": "EDGR", ...request.headers, Host: url.host },
        lookup: guardedLookup(resolve, port, allowed),
        ...(ca === undefined ? {} : { ca }),
      },
      body: request.body,
      deadlineMs: request.deadlineMs,
      maxBodyBytes: request.maxBodyBytes,
      isOnce: request.isOnce === true,
    });
  }

  async function refusal(text: string): Promise<string | null> {
    const checked = checkUrl(text, allowed);
    if (!checked.ok) return checked.reason;
    if (checked.isLiteral) return null;
    const addresses = await resolveInTime(resolve, checked.host);
    return addresses === null
      ? `leads to ${checked.host}, which can't be found`
      : refusedAmong(addresses, checked.port, allowed);
  }

  return {
    send,
    refusal,
    refusalByForm(text) {
      const checked = checkUrl(text, allowed);
      return checked.ok ? null : checked.reason;
    },
    close() {
      agents["http:"].destroy();
      agents["https:"].destroy();
    },
  };
}

/** What `node:net` asks for an address: answers with those that were checked, or with why not. */
function guardedLookup(resolve: Resolve, port: number, allowed: readonly Range[]): LookupFunction {
  return (host, options, callback) => {
    resolve(host).then(
      (addresses) => {
        const reason = refusedAmong(addresses, port, allowed);
        const [first] = addresses;
        if (reason !== null || first === undefined) return callback(new RefusedAddress(reason ?? ""), "", 0);
        if (options.all === true) return callback(null, addresses);
        callback(null, first.address, first.family);
      },
      (cause: unknown) => callback(new FailedLookup("no addresses", { cause }), "", 0),
    );
  };
}

/** One address that must not be reached is enough: a public one beside it may be there to get past this check. */
function refusedAmong(
  addresses: readonly { address: string }[],
  port: number,
  allowed: readonly Range[],
): string | null {
  if (addresses.length === 0) return "leads to a name without addresses";
  for (const { address } of addresses) {
    const reason = refusedTarget(address, port, allowed);
    if (reason !== null) return reason;
  }
  return null;
}

async function resolveInTime(resolve: Resolve, host: string): Promise<readonly { address: string }[] | null> {
  const { promise: late, resolve: giveUp } = Promise.withResolvers<null>();
  const timer = setTimeout(() => giveUp(null), RESOLVE_MS);
  try {
    return await Promise.race([resolve(host), late]);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}
