import { newId } from "../events/id.ts";
import {
  type ContentContext,
  compileEmail,
  composeContent,
  type EmailNode,
  type LinkContext,
  type MessageLinks,
  type Refusal,
  trackedLinks,
} from "../messages/compose.ts";
import { unsentNode } from "../messages/email-node.ts";
import { type Finding, lintEmail } from "./lint.ts";

export type Preview = { subject: string; html: string; text: string; sizeBytes: number; warnings: Finding[] };

/** What is previewed: `html` is Liquid, with templates and MJML done. */
export type PreviewContent = Pick<EmailNode, "subject" | "html" | "text" | "unsubscribeLink">;

/**
 * A message as this contact would get it, without its tracking: links are the ones that were written, there is no
 * pixel, and its own links are those of a message that exists nowhere, so that they only say it was a test.
 */
export function previewEmail(
  content: PreviewContent,
  context: ContentContext,
  deps: Omit<LinkContext, "ids"> & { customerId: string },
): { ok: true; preview: Preview } | Refusal {
  const untracked = { trackOpens: false, trackClicks: false };
  const compiled = compileEmail(unsentNode({ from: null, replyTo: null, ...content, ...untracked }));
  if (!compiled.ok) return compiled;
  const links = linksOfNoMessage(deps);
  const composed = composeContent(compiled.email, context, links);
  if (!composed.ok) return composed;
  const shown = composed.content;
  const warnings = lintEmail({
    html: shown.html,
    subject: shown.subject,
    text: shown.text,
    isTemplate: false,
    isUnsubscribeLink: (href) => href.startsWith(links.unsubscribe),
  });
  const sizeBytes = Buffer.byteLength(shown.html);
  return {
    ok: true,
    preview: { subject: shown.subject, html: shown.html, text: shown.text, sizeBytes, warnings },
  };
}

/** The links of a message that exists nowhere: nothing is tracked. */
export function linksOfNoMessage(deps: Omit<LinkContext, "ids"> & { customerId: string }): MessageLinks {
  const { customerId, now } = deps;
  const ids = {
    customerId,
    campaignId: newId(now),
    nodeId: "preview",
    runId: newId(now),
    messageId: newId(now),
  };
  return { ...trackedLinks({ ...deps, ids }), pixel: null, click: null };
}
