import ipaddr from "ipaddr.js";
import { type Address, isInRanges, parseRange, type Range } from "../ip-ranges.ts";

/** Where the public web is; everything else only in ranges that the operator opened. */
const PORTS = [80, 443, 8080, 8443];

/**
 * Global by ipaddr.js's table (or by the absence of a row in it), and of no use to anybody who sends to a public
 * server: relays that tunnel into private networks, documentation, and what IANA has not given out.
 */
const NEVER_PUBLIC = ["192.88.99.0/24", "2001::/23", "2002::/16", "3fff::/20"].map(parseRange);
const GLOBAL_IPV6 = [parseRange("2000::/3")];

/**
 * Whether EDGR may connect to a port of an address. Only what is public passes: deny by default, so that a range
 * nobody thought of is refused too.
 * @param address an IPv4 or IPv6 literal, without brackets or zone
 * @param allowed ranges that the operator opened on purpose (EDGR_EGRESS_ALLOW), with all their ports
 * @returns null when it may; otherwise the reason, to follow "it "
 */
export function refusedTarget(address: string, port: number, allowed: readonly Range[]): string | null {
  if (!ipaddr.isValid(address)) return `leads to ${address}, which is not an address`;
  // An IPv4 address mapped into IPv6 is reached as IPv4, and judged as such.
  const parsed = ipaddr.process(address);
  if (isInRanges(allowed, parsed)) return null;
  const kind = privateKind(parsed);
  if (kind !== null) return `leads to ${address}, which is ${kind} and not public`;
  return refusedPort(port);
}

/** @returns null for a port that public servers use; otherwise the reason, to follow "it " */
export function refusedPort(port: number): string | null {
  return PORTS.includes(port) ? null : `has port ${port}, and only ${PORTS.join(", ")} may be called`;
}

function privateKind(address: Address): string | null {
  const range = address.range();
  if (range !== "unicast") return KINDS[range] ?? `reserved (${range})`;
  if (isInRanges(NEVER_PUBLIC, address)) return "reserved";
  return address.kind() === "ipv4" || isInRanges(GLOBAL_IPV6, address) ? null : "reserved";
}

const KINDS: { [range: string]: string } = {
  loopback: "this machine itself",
  private: "in a private network",
  uniqueLocal: "in a private network",
  carrierGradeNat: "in a carrier's private network",
  linkLocal: "link-local, as cloud metadata services are,",
  unspecified: "the unspecified address",
  broadcast: "a broadcast address",
  multicast: "a multicast address",
};
