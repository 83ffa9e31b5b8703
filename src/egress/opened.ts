import ipaddr from "ipaddr.js";
import { isInRanges, parseRange } from "../ip-ranges.ts";
import type { Resolve } from "./resolve.ts";

/** Whether the operator opened, on purpose, where an address leads. */
export type IsOpened = (url: string) => Promise<boolean>;

/**
 * Tells of an absolute address whether all that its host leads to is in the opened ranges: an inner server, or a
 * stand-in, of which less is asked than of one on the public web.
 * @param options.allow EDGR_EGRESS_ALLOW
 */
export function createIsOpened(options: { allow: readonly string[]; resolve: Resolve }): IsOpened {
  const allowed = options.allow.map(parseRange);
  return async (url) => {
    if (allowed.length === 0) return false;
    const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
    const addresses = ipaddr.isValid(host) ? [host] : await resolveOrNone(options.resolve, host);
    return addresses.length > 0 && addresses.every((address) => isInRanges(allowed, ipaddr.process(address)));
  };
}

async function resolveOrNone(resolve: Resolve, host: string): Promise<string[]> {
  try {
    return (await resolve(host)).map(({ address }) => address);
  } catch {
    return [];
  }
}
