import { newId } from "../events/id.ts";
import { readForm } from "./form.ts";
import { readParameter, readVisitor, type TrackingContext, type TrackingDeps, type Visitor } from "./hit.ts";
import {
  badLinkPage,
  cannotShowPage,
  keptPage,
  noPreferencesPage,
  testMessagePage,
  tryLaterPage,
} from "./pages.ts";
import { type Done, preferencesPage } from "./preferences-page.ts";
import type { Choice, FoundPreferences } from "./preferences-queries.ts";
import type { TokenClaims } from "./token.ts";

type Intent = { action: "unsubscribe" | "resubscribe" } | { action: "save"; choice: Choice };

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * `?t=`, with the token of the unsubscribe link, expired or not: GET shows what somebody has chosen and changes
 * nothing, whoever asks; POST takes the page's own buttons.
 */
export async function preferences(deps: TrackingDeps, c: TrackingContext): Promise<Response> {
  const token = readParameter(c.req.url, "t");
  const claims = token === null ? null : deps.tokens.verify(token);
  if (token === null || claims === null || claims.urlDigest !== null) {
    deps.counters.badToken("preferences");
    return badLinkPage();
  }
  const intent = c.req.method === "POST" ? await readIntent(c.req.raw) : null;
  try {
    if (intent === null) return show(token, await deps.preferences.read(claims), null);
    return await carryOut(deps, token, claims, intent, readVisitor(deps, c));
  } catch (error) {
    deps.log.failed("preferences", error);
    if (intent === null) return cannotShowPage();
    deps.counters.lostHit("preferences");
    return tryLaterPage();
  }
}

async function carryOut(
  deps: TrackingDeps,
  token: string,
  claims: TokenClaims,
  intent: Intent,
  visitor: Visitor,
): Promise<Response> {
  const now = deps.now();
  const { customerId, messageId } = claims;
  const hit = { customerId, messageId, at: new Date(now), ...visitor };
  if (intent.action === "save") return show(token, await deps.preferences.save(hit, intent.choice), "saved");
  const change = { ...hit, eventId: newId(now), via: "button" as const };
  const result = await deps.unsubscribes[intent.action](change);
  if (result === "kept") return keptPage(token, intent.action);
  const done = intent.action === "unsubscribe" ? "unsubscribed" : "resubscribed";
  return show(token, await deps.preferences.read(claims), done);
}

function show(token: string, found: FoundPreferences, done: Done): Response {
  if (found.found) return preferencesPage(token, found.preferences, done);
  return found.because === "unknown_message" ? testMessagePage() : noPreferencesPage(token);
}

/** What a POST asks for; null unless it asks for exactly one thing that we know. */
async function readIntent(request: Request): Promise<Intent | null> {
  const form = await readForm(request);
  const [action, ...more] = form?.getAll("action") ?? [];
  if (form === null || more.length > 0) return null;
  if (action === "unsubscribe" || action === "resubscribe") return { action };
  if (action !== "save") return null;
  return { action, choice: { shown: idsIn(form, "shown"), wanted: idsIn(form, "topic") } };
}

function idsIn(form: FormData, name: string): string[] {
  return form
    .getAll(name)
    .filter((value) => typeof value === "string" && UUID.test(value))
    .map(String);
}
