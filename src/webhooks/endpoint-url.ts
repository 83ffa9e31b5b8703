import type { ChatType, EndpointType } from "./told.ts";

/** What stands where a secret is. */
export const MASK = "…";

/** What is shorter is found everywhere by chance. */
const MIN_SECRET_CHARS = 8;

const FORMS: Record<ChatType, { hosts: readonly string[]; path: RegExp; like: string }> = {
  slack: {
    hosts: ["hooks.slack.com", "hooks.slack-gov.com"],
    path: /^\/services\/[A-Za-z0-9]+\/[A-Za-z0-9]+\/[A-Za-z0-9]+$/,
    like: "https://hooks.slack.com/services/T…/B…/…",
  },
  discord: {
    hosts: ["discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com"],
    path: /^\/api(\/v\d+)?\/webhooks\/\d+\/[A-Za-z0-9_-]+$/,
    like: "https://discord.com/api/webhooks/…/…",
  },
};

/**
 * What is wrong with an address for its type of endpoint, apart from where it leads.
 * @param url an absolute http or https address
 * @param isOpened the operator opened where it leads (EDGR_EGRESS_ALLOW): a stand-in or an inner server, of any form
 * @returns null, or the reason, to follow "it "
 */
export function formProblem(type: EndpointType, url: string, isOpened: boolean): string | null {
  if (isOpened) return null;
  const { protocol, hostname, port, pathname } = new URL(url);
  if (protocol !== "https:") return "must be https: what is sent is about your contacts";
  if (type === "custom") return null;
  const { hosts, path, like } = FORMS[type];
  return hosts.includes(hostname) && port === "" && path.test(pathname)
    ? null
    : `must be of the form ${like}`;
}

/**
 * The address as it may be shown. A chat's is a bearer secret, whole: what is left tells which it is. Of another the
 * values of its query, where keys are passed, are masked.
 */
export function shownUrl(type: EndpointType, url: string): string {
  const { origin, pathname, search, searchParams } = new URL(url);
  if (type !== "custom") return `${origin}${pathname.replace(/[^/]+\/?$/, MASK)}`;
  if (search === "") return url;
  const masked = [...searchParams.keys()].map((name) => `${encodeURIComponent(name)}=${MASK}`);
  return `${origin}${pathname}?${masked.join("&")}`;
}

/**
 * What is secret of an endpoint, as a server may repeat it: what `shownUrl` masks, as it stands in the address and what it
 * stands for, and the values of its headers, whole and word by word.
 */
export function secretsOf(endpoint: {
  type: EndpointType;
  url: string;
  headers: { [name: string]: string };
}): string[] {
  const values = Object.values(endpoint.headers);
  const words = values.flatMap((value) => value.split(/\s+/));
  const secrets = [...secretsInUrl(endpoint.type, endpoint.url), ...values, ...words];
  return [...new Set(secrets)].filter((secret) => secret.length >= MIN_SECRET_CHARS);
}

function secretsInUrl(type: EndpointType, url: string): string[] {
  const { pathname, search, searchParams } = new URL(url);
  const [ofPath = ""] = /[^/]+(?=\/?$)/.exec(pathname) ?? [];
  const written = search
    .slice(1)
    .split("&")
    .map((pair) => pair.slice(pair.indexOf("=") + 1));
  return type === "custom" ? [...searchParams.values(), ...written] : [ofPath];
}
