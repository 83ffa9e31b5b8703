import type { Context } from "hono";
import type { Agent, Event, Json } from "../events/event.ts";
import { newId } from "../events/id.ts";
import { classify } from "./bots.ts";
import type { Choice, FoundPreferences, PreferenceHit } from "./preferences-queries.ts";
import type { Kept, ResubscribeResult, SubscriptionHit, UnsubscribeResult } from "./queries.ts";
import type { TokenClaims, Tokens } from "./token.ts";

/** The server passes with each request the address of the connection. */
export type TrackingEnv = { Bindings: { ip: string | null } };

export type TrackingContext = Context<TrackingEnv>;

export type HitRoute = "pixel" | "click" | "unsubscribe" | "preferences" | "view";

/** A message as its contact got it, rendered again; a message that is not in the database was a test message. */
export type ViewedMessage =
  | { kind: "shown"; html: string }
  | { kind: "unknown_message" | "contact_deleted" | "not_composed" };

export type TrackingDeps = {
  tokens: Pick<Tokens, "verify">;
  /** Resolves when the event is durable, rejects when it is not. */
  append(event: Event): Promise<void>;
  unsubscribes: {
    unsubscribe(hit: SubscriptionHit): Promise<UnsubscribeResult | Kept>;
    resubscribe(hit: SubscriptionHit): Promise<ResubscribeResult | Kept>;
  };
  preferences: {
    read(message: { customerId: string; messageId: string }): Promise<FoundPreferences>;
    save(hit: PreferenceHit, choice: Choice): Promise<FoundPreferences>;
  };
  /** Renders the message of a token again. */
  view(claims: TokenClaims): Promise<ViewedMessage>;
  clientIp(peer: string | null, forwardedFor: string | null): string | null;
  /** Unix time in milliseconds. */
  now(): number;
  counters: {
    /** A token, or a click's address, that is not one we signed. */
    badToken(route: HitRoute): void;
    /** A good token that has expired: not recorded. */
    lateHit(route: HitRoute): void;
    /** A good hit that could not be made durable. */
    lostHit(route: HitRoute): void;
  };
  log: {
    /** Takes the whole event, so that it can be recovered: the person has been redirected and won't be back. */
    lostHit(event: Event, error: unknown): void;
    /** The client was told to try again. */
    failed(route: HitRoute, error: unknown): void;
  };
};

export type Visitor = { agent: Agent; agentRule: string; userAgent: string | null; ip: string | null };

const MAX_USER_AGENT_CHARS = 512;

/** The claims of the request's `t`; null when there is not exactly one, or it is not ours. */
export function readClaims(deps: TrackingDeps, c: TrackingContext): TokenClaims | null {
  const token = readParameter(c.req.url, "t");
  return token === null ? null : deps.tokens.verify(token);
}

/**
 * The value of a query parameter; null when it is absent, not valid percent-encoding, or given twice, where
 * guessing which one is meant would let two readers of a link see different things.
 */
export function readParameter(url: string, name: string): string | null {
  const query = url.indexOf("?");
  if (query === -1) return null;
  let found: string | null = null;
  for (const pair of url.slice(query + 1).split("&")) {
    if (!pair.startsWith(name) || pair[name.length] !== "=") continue;
    if (found !== null) return null;
    found = pair.slice(name.length + 1);
  }
  return found?.includes("%") ? decodePercent(found) : found;
}

export function isExpired(claims: TokenClaims, nowMs: number): boolean {
  return nowMs >= claims.expiresAt * 1000;
}

/** Who makes this request, as far as it can be told. */
export function readVisitor(deps: TrackingDeps, c: TrackingContext): Visitor {
  const { headers, method } = c.req.raw;
  const userAgent = cleanUserAgent(headers.get("user-agent"));
  const { agent, rule } = classify({ method, userAgent, headers });
  const ip = deps.clientIp(c.env.ip, headers.get("x-forwarded-for"));
  return { agent, agentRule: rule, userAgent, ip };
}

export function hitEvent(
  type: "email_opened" | "email_clicked",
  claims: TokenClaims,
  visitor: Visitor,
  nowMs: number,
  data: { [key: string]: Json },
): Event {
  return {
    id: newId(nowMs),
    type,
    at: new Date(nowMs),
    customerId: claims.customerId,
    campaignId: claims.campaignId,
    runId: claims.runId,
    messageId: claims.messageId,
    contactId: null,
    agent: visitor.agent,
    agentRule: visitor.agentRule,
    userAgent: visitor.userAgent,
    ip: visitor.ip,
    data,
  };
}

/** Text that PostgreSQL takes: no control characters, no half of a surrogate pair. */
function cleanUserAgent(userAgent: string | null): string | null {
  if (userAgent === null) return null;
  return userAgent.slice(0, MAX_USER_AGENT_CHARS).replace(/[\p{Cc}\p{Cs}]/gu, "");
}

function decodePercent(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
