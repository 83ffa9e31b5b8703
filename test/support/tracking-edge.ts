import type { Hono } from "hono";
import type { Event } from "../../src/events/event.ts";
import { newId } from "../../src/events/id.ts";
import type { TrackingDeps, TrackingEnv } from "../../src/tracking/hit.ts";
import type { FoundPreferences } from "../../src/tracking/preferences-queries.ts";
import type { SubscriptionHit } from "../../src/tracking/queries.ts";
import { trackingRoutes } from "../../src/tracking/routes.ts";
import { createTokens, type TokenClaims } from "../../src/tracking/token.ts";

export const NOW_MS = Date.parse("2026-03-01T12:00:00Z");

export const CHROME =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Safari/537.36";

export const claims: TokenClaims = {
  customerId: newId(),
  campaignId: newId(),
  node: "hello",
  runId: newId(),
  messageId: newId(),
  expiresAt: NOW_MS / 1000 + 1,
  urlDigest: null,
};

const tokens = createTokens([{ kid: "t1", secret: Buffer.alloc(32, 7), retired: false }]);

export function token(changes: Partial<TokenClaims> = {}): string {
  return tokens.sign({ ...claims, ...changes });
}

export type TestEdge = {
  app: Hono<TrackingEnv>;
  appended: Event[];
  /** As `badToken pixel`. */
  counted: string[];
  logged: { about: Event | string; error: unknown }[];
  changes: ({ change: "unsubscribe" | "resubscribe" } & SubscriptionHit)[];
  /** A request by a person's browser from 203.0.113.7. */
  request(path: string, init?: RequestInit): Promise<Response>;
};

/** The tracking routes with a log that remembers, and whatever a test puts in its place. */
export function createEdge(replaced: Partial<TrackingDeps> = {}): TestEdge {
  const appended: Event[] = [];
  const counted: string[] = [];
  const logged: TestEdge["logged"] = [];
  const changes: TestEdge["changes"] = [];
  const app = trackingRoutes({
    tokens,
    append: async (event) => {
      appended.push(event);
    },
    unsubscribes: {
      unsubscribe: async (hit) => {
        changes.push({ change: "unsubscribe", ...hit });
        return "unsubscribed";
      },
      resubscribe: async (hit) => {
        changes.push({ change: "resubscribe", ...hit });
        return "resubscribed";
      },
    },
    preferences: { read: unknownMessage, save: unknownMessage },
    view: async () => ({ kind: "unknown_message" }),
    clientIp: (peer, forwardedFor) => forwardedFor ?? peer,
    now: () => NOW_MS,
    counters: {
      badToken: (route) => counted.push(`badToken ${route}`),
      lateHit: (route) => counted.push(`lateHit ${route}`),
      lostHit: (route) => counted.push(`lostHit ${route}`),
    },
    log: {
      lostHit: (event, error) => logged.push({ about: event, error }),
      failed: (route, error) => logged.push({ about: route, error }),
    },
    ...replaced,
  });
  const request = async (path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    if (!headers.has("User-Agent")) headers.set("User-Agent", CHROME);
    return app.request(path, { ...init, headers }, { ip: "203.0.113.7" });
  };
  return { app, appended, counted, logged, changes, request };
}

async function unknownMessage(): Promise<FoundPreferences> {
  return { found: false, because: "unknown_message" };
}

export async function reject(): Promise<never> {
  throw new Error("the database is down");
}
