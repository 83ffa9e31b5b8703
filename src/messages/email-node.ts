import { z } from "zod";
import type { SmtpCredential } from "../credentials/schema.ts";
import type { EmailNode } from "./compose.ts";

/** The settings of a message node as its campaign's version keeps them. */
const nodeSettings = z.object({
  from: z.object({ email: z.string(), name: z.string().nullable() }).nullable(),
  replyTo: z.string().nullable(),
  subject: z.string(),
  html: z.string(),
  text: z.string().nullable(),
  unsubscribeLink: z.boolean(),
  trackOpens: z.boolean(),
  trackClicks: z.boolean(),
});

/** A message node with its credential's sender where it has none of its own. */
export function emailNode(settings: unknown, credential: SmtpCredential): EmailNode {
  const node = nodeSettings.parse(settings);
  const { fromEmail, fromName, replyTo } = credential.settings;
  const from = node.from ?? { email: fromEmail, name: fromName };
  return {
    fromEmail: from.email,
    fromName: from.name,
    replyTo: node.replyTo ?? replyTo,
    subject: node.subject,
    html: node.html,
    text: node.text,
    unsubscribeLink: node.unsubscribeLink,
    trackOpens: node.trackOpens,
    trackClicks: node.trackClicks,
  };
}
