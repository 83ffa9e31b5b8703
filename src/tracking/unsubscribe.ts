import { newId } from "../events/id.ts";
import { readForm } from "./form.ts";
import { readParameter, readVisitor, type TrackingContext, type TrackingDeps, type Visitor } from "./hit.ts";
import {
  badLinkPage,
  confirmPage,
  keptPage,
  resubscribedPage,
  testMessagePage,
  tryLaterPage,
  unsubscribedPage,
} from "./pages.ts";
import type { SubscriptionHit } from "./queries.ts";
import type { TokenClaims } from "./token.ts";

type Intent = { change: "unsubscribe" | "resubscribe"; via: SubscriptionHit["via"] };

/**
 * `?t=`: GET by a person unsubscribes, and the page offers to undo it. A machine's GET, and any HEAD, changes
 * nothing: link checkers open every link of an email. POST takes RFC 8058's one-click body and the ones of our
 * own buttons. An expired token still works: the law gives a person longer than we give a token. What the page says
 * is true when it says it: what is done is done, and what is only kept, for a database that is away, is called so.
 */
export async function unsubscribe(deps: TrackingDeps, c: TrackingContext): Promise<Response> {
  const token = readParameter(c.req.url, "t");
  const claims = token === null ? null : deps.tokens.verify(token);
  if (token === null || claims === null || claims.urlDigest !== null) {
    deps.counters.badToken("unsubscribe");
    return badLinkPage();
  }
  if (c.req.method === "HEAD") return confirmPage(token, 200);
  const visitor = readVisitor(deps, c);
  if (c.req.method === "GET" && visitor.agent !== "human") return confirmPage(token, 200);
  const intent: Intent | null =
    c.req.method === "GET" ? { change: "unsubscribe", via: "link" } : await readIntent(c.req.raw);
  if (intent === null) return confirmPage(token, 400);
  try {
    return await change(deps, token, intent.change, toHit(claims, visitor, deps.now(), intent.via));
  } catch (error) {
    deps.counters.lostHit("unsubscribe");
    deps.log.failed("unsubscribe", error);
    return tryLaterPage();
  }
}

async function change(
  deps: TrackingDeps,
  token: string,
  intended: Intent["change"],
  hit: SubscriptionHit,
): Promise<Response> {
  const result = await deps.unsubscribes[intended](hit);
  switch (result) {
    case "unsubscribed":
      return unsubscribedPage(token);
    case "resubscribed":
      return resubscribedPage(token);
    case "kept":
      return keptPage(token, intended);
    case "confirmation_needed":
      return confirmPage(token, 200);
    case "unknown_message":
      return testMessagePage();
  }
}

function toHit(
  claims: TokenClaims,
  visitor: Visitor,
  nowMs: number,
  via: SubscriptionHit["via"],
): SubscriptionHit {
  return {
    eventId: newId(nowMs),
    customerId: claims.customerId,
    messageId: claims.messageId,
    at: new Date(nowMs),
    agent: visitor.agent,
    agentRule: visitor.agentRule,
    userAgent: visitor.userAgent,
    ip: visitor.ip,
    via,
  };
}

/** What a POST asks for; null unless it asks for exactly one thing that we know. */
async function readIntent(request: Request): Promise<Intent | null> {
  const form = await readForm(request);
  if (form === null) return null;
  const intents: Intent[] = [];
  if (form.getAll("List-Unsubscribe").includes("One-Click")) {
    intents.push({ change: "unsubscribe", via: "one_click" });
  }
  for (const action of form.getAll("action")) {
    if (action === "unsubscribe" || action === "resubscribe") intents.push({ change: action, via: "button" });
  }
  const [intent] = intents;
  return intent !== undefined && intents.length === 1 ? intent : null;
}
