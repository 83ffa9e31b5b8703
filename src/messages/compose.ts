import type { Json } from "../events/event.ts";
import { clickUrl, pixelUrl, preferencesUrl, unsubscribeUrl, viewInBrowserUrl } from "../tracking/links.ts";
import { escapeHtml, rewriteHtml } from "../tracking/rewrite.ts";
import { DEFAULT_TOKEN_LIFE_S, nodeClaim, type Tokens, urlDigest } from "../tracking/token.ts";
import {
  emailHeaders,
  isConfigurationSet,
  type MessageIds,
  messageIdHeader,
  safeAddress,
  safeHeaderText,
} from "./headers.ts";
import { compileTemplate, type Template, type TemplateVariables } from "./template.ts";
import { compileHtmlToText } from "./text.ts";

/** What a message node of a campaign says; `fromName`, `subject`, `html` and `text` are Liquid templates. */
export type EmailNode = {
  fromEmail: string;
  fromName: string | null;
  replyTo: string | null;
  subject: string;
  html: string;
  /** Null: made from the HTML. */
  text: string | null;
  unsubscribeLink: boolean;
  trackOpens: boolean;
  trackClicks: boolean;
};

/** A node ready to be composed for one contact after the other. */
export type CompiledEmail = {
  node: EmailNode;
  fromName: Template;
  subject: Template;
  html: Template;
  text: Template | null;
  toText: (html: string) => string;
};

/** What a message says to whom, whichever message it is. */
export type ContentContext = {
  contact: { email: string; attributes: { [name: string]: Json }; tags: string[] };
  campaignName: string;
  /** The sender's postal address, which laws such as CAN-SPAM want in the email; may have several lines. */
  postalAddress: string | null;
};

/** What the links of a message are made of. */
export type LinkContext = {
  ids: MessageIds;
  /** Without a slash at its end. */
  publicUrl: string;
  tokens: Tokens;
  /** Unix milliseconds. */
  now: number;
};

export type ComposeContext = ContentContext &
  LinkContext & {
    configurationSet: string | null;
    /** Where answers go that the node has no address for; null: to the sender. */
    replyAddress: string | null;
  };

export type MessageLinks = {
  unsubscribe: string;
  preferences: string;
  view: string;
  /** Null: no pixel, whatever the node says. */
  pixel: string | null;
  /** Null: links stay, whatever the node says. */
  click: ((url: string) => string) | null;
};

export type Content = { fromName: string; subject: string; html: string; text: string };

export type ComposedEmail = {
  /** `name` is empty where there is none. */
  from: { name: string; address: string };
  to: string;
  replyTo: string | null;
  subject: string;
  html: string;
  text: string;
  headers: Record<string, string>;
  /** Our own, in angle brackets. */
  messageId: string;
};

export type Refusal = { ok: false; field: string; reason: string };

// Gmail cuts a message off at about 102 kB of HTML (protocols 5.1).
export const GMAIL_CLIPS_BYTES = 100_000;

/** Checks and parses all of a node that does not depend on the contact. */
export function compileEmail(node: EmailNode): { ok: true; email: CompiledEmail } | Refusal {
  const from = safeAddress("fromEmail", node.fromEmail);
  if (!from.ok) return from;
  const replyTo = node.replyTo === null ? null : safeAddress("replyTo", node.replyTo);
  if (replyTo?.ok === false) return replyTo;
  const fromName = compileTemplate(node.fromName ?? "", "text");
  if (!fromName.ok) return { ...fromName, field: "fromName" };
  const subject = compileTemplate(node.subject, "text");
  if (!subject.ok) return { ...subject, field: "subject" };
  const html = compileTemplate(node.html, "html");
  if (!html.ok) return { ...html, field: "html" };
  const text = node.text === null ? null : compileTemplate(node.text, "text");
  if (text?.ok === false) return { ...text, field: "text" };
  return { ok: true, email: { node, fromName, subject, html, text, toText: compileHtmlToText() } };
}

/**
 * The email of one contact: personalised, with tracked links, pixel, footer and headers. Links of the text part
 * are not rewritten: there the reader sees the address itself, and one of some 400 characters reads like fraud.
 * @returns with `warnings`, which do not keep the email from being sent; or the field that does, and why
 */
export function composeEmail(
  compiled: CompiledEmail,
  context: ComposeContext,
): { ok: true; email: ComposedEmail; warnings: string[] } | Refusal {
  const { node } = compiled;
  const { ids, contact, configurationSet } = context;
  const to = safeAddress("contact.email", contact.email);
  if (!to.ok) return to;
  const replyTo = node.replyTo ?? context.replyAddress;
  const reply = replyTo === null ? null : safeAddress("replyTo", replyTo);
  if (reply?.ok === false) return reply;
  const links = trackedLinks(context);
  const composed = composeContent(compiled, context, links);
  if (!composed.ok) return composed;
  const { fromName, subject, html, text } = composed.content;
  if (configurationSet !== null && !isConfigurationSet(configurationSet))
    return { ok: false, field: "configurationSet", reason: "it is not the name of a configuration set" };
  const email = {
    from: { name: fromName, address: node.fromEmail },
    to: contact.email,
    replyTo,
    subject,
    html,
    text,
    headers: emailHeaders(ids, links.unsubscribe, configurationSet),
    messageId: messageIdHeader(ids.messageId, node.fromEmail),
  };
  return { ok: true, email, warnings: sizeWarnings(html) };
}

/** What a message says, with these links; who sends and gets it is not asked. */
export function composeContent(
  compiled: CompiledEmail,
  context: ContentContext,
  links: MessageLinks,
): { ok: true; content: Content } | Refusal {
  const values = variables(context, links);
  const envelope = composeEnvelope(compiled, values);
  if (!envelope.ok) return envelope;
  const body = composeBody(compiled, context.postalAddress, values, links);
  if (!body.ok) return body;
  const { fromName, subject } = envelope;
  return { ok: true, content: { fromName, subject, html: body.html, text: body.text } };
}

/** The links of a message. Every URL gets one token in it, however often the message links to it. */
export function trackedLinks({ ids, tokens, publicUrl, now }: LinkContext): MessageLinks {
  const claims = {
    customerId: ids.customerId,
    campaignId: ids.campaignId,
    node: nodeClaim(ids.nodeId),
    runId: ids.runId,
    messageId: ids.messageId,
    expiresAt: Math.floor(now / 1000) + DEFAULT_TOKEN_LIFE_S,
    urlDigest: null,
  };
  const token = tokens.sign(claims);
  const clicks = new Map<string, string>();
  return {
    unsubscribe: unsubscribeUrl(publicUrl, token),
    preferences: preferencesUrl(publicUrl, token),
    view: viewInBrowserUrl(publicUrl, token),
    pixel: pixelUrl(publicUrl, token),
    click(url) {
      const known = clicks.get(url);
      if (known !== undefined) return known;
      const tracked = clickUrl(publicUrl, tokens.sign({ ...claims, urlDigest: urlDigest(url) }), url);
      clicks.set(url, tracked);
      return tracked;
    },
  };
}

function composeEnvelope(
  { fromName, subject }: CompiledEmail,
  values: TemplateVariables,
): { ok: true; fromName: string; subject: string } | Refusal {
  const renderedName = render("fromName", fromName, values);
  if (!renderedName.ok) return renderedName;
  const name = safeHeaderText("fromName", renderedName.text);
  if (!name.ok) return name;
  const renderedSubject = render("subject", subject, values);
  if (!renderedSubject.ok) return renderedSubject;
  const line = safeHeaderText("subject", renderedSubject.text);
  if (!line.ok) return line;
  return { ok: true, fromName: name.value, subject: line.value };
}

function composeBody(
  { node, html, text, toText }: CompiledEmail,
  postalAddress: string | null,
  values: TemplateVariables,
  links: MessageLinks,
): { ok: true; html: string; text: string } | Refusal {
  const untracked = render("html", html, values);
  if (!untracked.ok) return untracked;
  const footerFor = (hasLink: boolean) => {
    const link = hasLink ? null : links.unsubscribe;
    return node.unsubscribeLink ? { link, address: postalAddress } : { link: null, address: null };
  };
  const tracked = rewriteHtml(untracked.text, {
    click: node.trackClicks ? links.click : null,
    unsubscribeUrl: links.unsubscribe,
    ownUrls: [links.preferences, links.view],
    footer: (hasLink) => htmlFooter(footerFor(hasLink)),
    pixelUrl: node.trackOpens ? links.pixel : null,
  });
  if (!tracked.ok) return { ...tracked, field: "html" };
  const plain =
    text === null ? { ok: true as const, text: toText(untracked.text) } : render("text", text, values);
  if (!plain.ok) return plain;
  const footer = textFooter(footerFor(plain.text.includes(links.unsubscribe)));
  return { ok: true, html: tracked.html, text: plain.text + footer };
}

/** What the templates of a message can say, whichever channel it goes through. */
export function variables(
  { contact, campaignName }: Pick<ContentContext, "contact" | "campaignName">,
  links: Pick<MessageLinks, "unsubscribe" | "preferences" | "view">,
): TemplateVariables {
  return {
    contact,
    campaign: { name: campaignName },
    unsubscribeUrl: links.unsubscribe,
    preferencesUrl: links.preferences,
    viewInBrowserUrl: links.view,
  };
}

export function render(
  field: string,
  template: Template,
  values: TemplateVariables,
): { ok: true; text: string } | Refusal {
  const rendered = template.render(values);
  if (!rendered.ok) return { ...rendered, field };
  // Mail can't carry it (RFC 5321 section 4.5.2), and parsers of HTML disagree about it.
  if (rendered.text.includes("\0")) return { ok: false, field, reason: "it contains a NUL character" };
  return rendered;
}

type Footer = { link: string | null; address: string | null };

function htmlFooter({ link, address }: Footer): string {
  const lines = [];
  if (link !== null)
    lines.push(
      `<a href="${escapeHtml(link)}" style="color:#666666;text-decoration:underline">Unsubscribe</a>`,
    );
  if (address !== null) lines.push(escapeHtml(address).replace(/\r?\n/g, "<br>"));
  if (lines.length === 0) return "";
  const style = "margin:24px 16px;font:12px/18px Arial,Helvetica,sans-serif;color:#666666;text-align:center";
  return `<div style="${style}">${lines.join("<br>")}</div>`;
}

function textFooter({ link, address }: Footer): string {
  const lines = [];
  if (link !== null) lines.push(`Unsubscribe: ${link}`);
  if (address !== null) lines.push(address);
  // "-- " begins what mail programs recognise as a signature (RFC 3676 section 4.3).
  return lines.length === 0 ? "" : `\n\n-- \n${lines.join("\n")}\n`;
}

function sizeWarnings(html: string): string[] {
  const bytes = Buffer.byteLength(html);
  if (bytes <= GMAIL_CLIPS_BYTES) return [];
  const size = Math.ceil(bytes / 1000);
  return [`The HTML is ${size} kB. Gmail cuts off at about 102 kB, and with it footer and open pixel.`];
}
