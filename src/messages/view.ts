import type { Db } from "../storage/pool.ts";
import type { ViewedMessage } from "../tracking/hit.ts";
import { DEFAULT_TOKEN_LIFE_S, type TokenClaims, type Tokens } from "../tracking/token.ts";
import { compileEmail, composeContent, trackedLinks } from "./compose.ts";
import { unsentNode } from "./email-node.ts";
import { findSentMessage } from "./view-queries.ts";

/**
 * A sent message once more, for the browser: from what its version says, with the contact as it is now, the links
 * of the email (they expire with its own) and without the pixel.
 */
export async function viewMessage(
  deps: { db: Db; tokens: Tokens; publicUrl: string },
  { customerId, messageId, expiresAt }: TokenClaims,
): Promise<ViewedMessage> {
  const message = await findSentMessage(deps.db, customerId, messageId);
  if (message === null) return { kind: "unknown_message" };
  if (!message.contactExists) return { kind: "contact_deleted" };
  if (message.campaignName === null) return { kind: "not_composed" };
  const { campaignId, nodeId, runId, toAddress, attributes, tags, campaignName, postalAddress } = message;
  const compiled = compileEmail(unsentNode(message.settings));
  if (!compiled.ok) return { kind: "not_composed" };
  const links = trackedLinks({
    ids: { customerId, campaignId, nodeId, runId, messageId },
    publicUrl: deps.publicUrl,
    tokens: deps.tokens,
    now: (expiresAt - DEFAULT_TOKEN_LIFE_S) * 1000,
  });
  const contact = { email: toAddress, attributes, tags };
  const context = { contact, campaignName, postalAddress };
  const composed = composeContent(compiled.email, context, { ...links, pixel: null });
  return composed.ok ? { kind: "shown", html: composed.content.html } : { kind: "not_composed" };
}
