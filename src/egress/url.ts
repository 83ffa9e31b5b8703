import { isIP } from "node:net";
import type { Range } from "../ip-ranges.ts";
import { refusedPort, refusedTarget } from "./address.ts";

/** `host` is a name or an address, without the brackets of IPv6; `isLiteral` says which. */
export type CheckedUrl =
  | { ok: true; url: URL; host: string; port: number; isLiteral: boolean }
  | { ok: false; reason: string };

export const MAX_URL_CHARS = 2_048;

/**
 * Checks what the form of an address tells, as the WHATWG parser understands it: `http://0x7f.1` and
 * `http://2130706433` are 127.0.0.1 here too. What a name leads to is checked when it is resolved.
 * @param allowed ranges opened on purpose
 * @returns the reason to follow "it "
 */
export function checkUrl(text: string, allowed: readonly Range[]): CheckedUrl {
  if (text.length > MAX_URL_CHARS) return refused(`must have at most ${MAX_URL_CHARS} characters`);
  if (!URL.canParse(text)) return refused("must be an absolute http or https address");
  const url = new URL(text);
  if (url.protocol !== "http:" && url.protocol !== "https:")
    return refused("must be an http or https address");
  if (url.username !== "" || url.password !== "") return refused("must not contain a user name or password");
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? DEFAULT_PORTS[url.protocol] : Number(url.port);
  const isLiteral = isIP(host) !== 0;
  const reason = isLiteral
    ? refusedTarget(host, port, allowed)
    : allowed.length === 0
      ? refusedPort(port)
      : null;
  return reason === null ? { ok: true, url, host, port, isLiteral } : refused(reason);
}

const DEFAULT_PORTS = { "http:": 80, "https:": 443 } as const;

function refused(reason: string): { ok: false; reason: string } {
  return { ok: false, reason };
}
