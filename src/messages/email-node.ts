import { z } from "zod";
import type { SmtpCredential } from "../credentials/schema.ts";
import type { EmailNode } from "./compose.ts";

/** The settings of a message node as its campaign's version keeps them. */
const nodeSettings = z.object({
  from: z.object({ email: z.string(), name: z.string().nullable() }).nullable(),
  replyTo: z.string().nullable(),
  subject: z.string(),
  html: z.string(),
  // What activation made of `html`, where that is more than Liquid.
  compiledHtml: z.string().optional(),
  text: z.string().nullable(),
  unsubscribeLink: z.boolean(),
  trackOpens: z.boolean(),
  trackClicks: z.boolean(),
});

// Of what nobody sends.
const NOBODY = { fromEmail: "nobody@example.com", fromName: null, replyTo: null };

/** A message node to be looked at: of its sender nothing shows in it. */
export function unsentNode(settings: unknown): EmailNode {
  const { subject, html, compiledHtml, text, unsubscribeLink, trackOpens, trackClicks } =
    nodeSettings.parse(settings);
  return { ...NOBODY, subject, html: compiledHtml ?? html, text, unsubscribeLink, trackOpens, trackClicks };
}

/** A message node with its credential's sender where it has none of its own. */
export function emailNode(settings: unknown, credential: SmtpCredential): EmailNode {
  const node = nodeSettings.parse(settings);
  const { fromEmail, fromName, replyTo, ses } = credential.settings;
  const from = node.from ?? { email: fromEmail, name: fromName };
  return {
    ...unsentNode(node),
    fromEmail: from.email,
    fromName: from.name,
    // Where there is a domain for answers, each message has an address there.
    replyTo: node.replyTo ?? (ses?.replyDomain ? null : replyTo),
  };
}
