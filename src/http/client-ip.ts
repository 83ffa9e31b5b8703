import { isIPv4, isIPv6 } from "node:net";
import ipaddr from "ipaddr.js";
import { isInRanges, parseRange } from "../ip-ranges.ts";

/**
 * @param peer the address of the connection
 * @param forwardedFor the X-Forwarded-For header
 * @returns the client's address, IPv4 where it is one, without port or zone; null when the peer has no address
 */
export type ClientIp = (peer: string | null, forwardedFor: string | null) => string | null;

/**
 * Finds the client behind the proxies that we trust. Each proxy appends to X-Forwarded-For whom it heard from, so
 * the header is read from its end, and only as long as the one who wrote an entry is trusted: what stands before
 * that is whatever the client liked to send.
 * @param trustedProxies addresses and CIDR ranges
 * @throws Error for one that is neither
 */
export function createClientIp(trustedProxies: readonly string[]): ClientIp {
  const ranges = trustedProxies.map(parseRange);

  return (peer, forwardedFor) => {
    let sender = peer === null ? null : normalize(peer);
    if (ranges.length === 0 || sender === null || forwardedFor === null) return sender;
    let end = forwardedFor.length;
    while (end > 0 && isInRanges(ranges, ipaddr.parse(sender))) {
      const comma = forwardedFor.lastIndexOf(",", end - 1);
      const hop = normalize(forwardedFor.slice(comma + 1, end).trim());
      if (hop === null) break;
      sender = hop;
      end = comma;
    }
    return sender;
  };
}

/** Four decimal parts or IPv6, nothing else: ipaddr.js alone also takes `0x7f.1`, which PostgreSQL's inet refuses. */
function normalize(text: string): string | null {
  const bare = withoutPort(text);
  if (isIPv4(bare)) return bare;
  const [address = ""] = bare.split("%", 1);
  return isIPv6(address) ? ipaddr.process(address).toString() : null;
}

function withoutPort(text: string): string {
  const colon = text.indexOf(":");
  if (colon === -1) return text;
  if (text.startsWith("[")) return /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1] ?? text;
  return /^[\d.]+:\d{1,5}$/.test(text) ? text.slice(0, colon) : text;
}
