import { isbot } from "isbot";
import type { Agent } from "../events/event.ts";

/** `rule` says why: a stable name, kept with the event. */
export type Classification = { agent: Agent; rule: string };

export type HitHeaders = Pick<Headers, "get">;

type UserAgentRule = Classification & { pattern: RegExp };

// The first that matches decides. Few of these products document what they send: the patterns are observations.
const USER_AGENT_RULES: readonly UserAgentRule[] = [
  // Apple Mail Privacy Protection fetches soon after arrival, whether or not anybody reads.
  { agent: "prefetch", rule: "apple-mail-privacy", pattern: /^Mozilla\/5\.0$/ },
  // Google's fetch at delivery claims to be an Edge of 2015 and ends with a stray token.
  { agent: "prefetch", rule: "gmail-prefetch", pattern: /Edge\/12\.246 Mozilla\/5\.0$/ },
  { agent: "proxy", rule: "gmail-image-proxy", pattern: /GoogleImageProxy/i },
  { agent: "proxy", rule: "yahoo-image-proxy", pattern: /Yahoo ?MailProxy/i },
  {
    agent: "scanner",
    rule: "headless-browser",
    pattern: /Headless|PhantomJS|Playwright|Puppeteer|Selenium/i,
  },
  {
    agent: "scanner",
    rule: "security-scanner",
    pattern: /Barracuda|Mimecast|Proofpoint|IronPort|Office Existence Discovery/i,
  },
  {
    agent: "scanner",
    rule: "link-preview",
    pattern:
      /Slackbot|Slack-ImgProxy|TelegramBot|TwitterBot|Discordbot|LinkedInBot|WhatsApp\/|facebookexternalhit|SkypeUriPreview|BingPreview/i,
  },
  // Before isbot, which takes some short names of mail clients for those of tools.
  {
    agent: "human",
    rule: "mail-client",
    pattern:
      /ms-office|MSOffice|\bMicrosoft Outlook\b|^Outlook-|\bMacOutlook\/|\bThunderbird\b|\bPostbox\/|^(?:eM Client|Spark|Airmail|K-9 Mail|MailMate|Evolution|AquaMail)\b/,
  },
];

// The rules and isbot's two hundred patterns take 1 to 2 microseconds for a browser's name, the look-up a tenth.
// Two bounds because strangers choose the names: at most about 2 MB, and no long name to run the patterns over.
const MAX_CACHED_USER_AGENTS = 2000;
const MAX_MATCHED_CHARS = 512;
const byUserAgent = new Map<string, Classification>();

const PREFETCH: Classification = { agent: "prefetch", rule: "prefetch-header" };
const NO_USER_AGENT: Classification = { agent: "scanner", rule: "no-user-agent" };
const METHOD: Classification = { agent: "scanner", rule: "method" };
const PERSON: Classification = { agent: "human", rule: "no-rule" };
const ISBOT: Classification = { agent: "scanner", rule: "isbot" };

/**
 * Who made a hit, from what one request shows: no single signal is proof, and a scanner that sends a browser's
 * headers passes for a person.
 */
export function classify(hit: {
  method: string;
  userAgent: string | null;
  headers: HitHeaders;
}): Classification {
  if (hit.method !== "GET" && hit.method !== "POST") return METHOD;
  if (isPrefetch(hit.headers)) return PREFETCH;
  if (hit.userAgent === null || hit.userAgent.trim() === "") return NO_USER_AGENT;
  return classifyUserAgent(hit.userAgent.slice(0, MAX_MATCHED_CHARS));
}

/** Speculative loads say so: `Sec-Purpose: prefetch;prerender` (Fetch standard), `Purpose` and `X-Moz` before it. */
function isPrefetch(headers: HitHeaders): boolean {
  return (
    namesPrefetch(headers.get("sec-purpose")) ||
    namesPrefetch(headers.get("purpose")) ||
    namesPrefetch(headers.get("x-moz"))
  );
}

function namesPrefetch(value: string | null): boolean {
  return value !== null && /(?:^|[,;\s])prefetch(?:$|[,;\s])/i.test(value);
}

function classifyUserAgent(userAgent: string): Classification {
  const known = byUserAgent.get(userAgent);
  if (known !== undefined) return known;
  const found = USER_AGENT_RULES.find(({ pattern }) => pattern.test(userAgent)) ?? byIsbot(userAgent);
  const classification = { agent: found.agent, rule: found.rule };
  if (byUserAgent.size >= MAX_CACHED_USER_AGENTS) byUserAgent.clear();
  byUserAgent.set(userAgent, classification);
  return classification;
}

function byIsbot(userAgent: string): Classification {
  return isbot(userAgent) ? ISBOT : PERSON;
}
