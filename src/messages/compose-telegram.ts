import { UNSUBSCRIBE_CALLBACK } from "../telegram/callback.ts";
import type { TelegramButton, TelegramContent } from "../telegram/content.ts";
import { checkHtml, linksOf, rewriteLinks } from "../telegram/html.ts";
import {
  hostProblem,
  MAX_BUTTON_CHARS,
  MAX_CAPTION_CHARS,
  MAX_MARKUP_BYTES,
  MAX_TEXT_CHARS,
  UNSUBSCRIBE_LABEL,
} from "../telegram/limits.ts";
import { isTrackableUrl } from "../tracking/links.ts";
import {
  type ContentContext,
  type LinkContext,
  type MessageLinks,
  type Refusal,
  render,
  trackedLinks,
  variables,
} from "./compose.ts";
import { safeHeaderText } from "./headers.ts";
import type { TelegramNode, TelegramNodeButton } from "./telegram-node.ts";
import { compileTemplate, type Template, type TemplateVariables } from "./template.ts";

/** `url` null: the button unsubscribes. */
type CompiledButton = { text: Template; url: Template | null };

/** Addresses that Telegram opens itself. */
const OTHER_LINK = /^(tg|ton|tonsite):/i;

/** A Telegram message ready to be composed for one contact after the other. */
export type CompiledTelegram = {
  node: TelegramNode;
  text: Template;
  photo: Template | null;
  buttons: CompiledButton[][];
};

/** What a message says to whom; the email of a contact that has none is "". */
export type TelegramContentContext = Pick<ContentContext, "contact" | "campaignName">;

export type TelegramContext = TelegramContentContext & LinkContext;

/** `warnings` do not keep the message from being sent. */
export type ComposedTelegram = { ok: true; content: TelegramContent; warnings: string[] };

/** Checks and parses all of a node that does not depend on the contact. */
export function compileTelegram(node: TelegramNode): { ok: true; telegram: CompiledTelegram } | Refusal {
  const text = compileTemplate(node.text, "html");
  if (!text.ok) return { ...text, field: "text" };
  const photo = node.photo === null ? null : compileTemplate(node.photo, "text");
  if (photo?.ok === false) return { ...photo, field: "photo" };
  const buttons = eachButton(node.buttons, compileButton);
  if (!buttons.ok) return buttons;
  return { ok: true, telegram: { node, text, photo, buttons: buttons.rows } };
}

/**
 * The message of one contact: personalised, with tracked links and buttons, and a button to unsubscribe. The field of a
 * refusal is one of the node's: `text`, `photo`, `buttons.0.1.url`.
 */
export function composeTelegram(
  compiled: CompiledTelegram,
  context: TelegramContext,
): ComposedTelegram | Refusal {
  return composeTelegramContent(compiled, context, trackedLinks(context));
}

/** What a message says, with these links. */
export function composeTelegramContent(
  compiled: CompiledTelegram,
  context: TelegramContentContext,
  links: MessageLinks,
): ComposedTelegram | Refusal {
  const { node } = compiled;
  const values = variables(context, links);
  const photo = compiled.photo === null ? null : render("photo", compiled.photo, values);
  if (photo?.ok === false) return photo;
  const photoUrl = photo?.text.trim() ?? null;
  if (photoUrl !== null && !isTrackableUrl(photoUrl))
    return { ok: false, field: "photo", reason: "it is no http or https address" };
  const addressOf = (url: string) => (isTracked(url, node, links) ? (links.click?.(url) ?? url) : url);
  const text = composeText(compiled, values, addressOf);
  if (!text.ok) return text;
  const keyboard = composeKeyboard(compiled, values, addressOf);
  if (!keyboard.ok) return keyboard;
  const { silent, protectContent } = node;
  const content = {
    html: text.html,
    photo: photoUrl,
    keyboard: keyboard.rows,
    silent,
    protectContent,
    replyToMessageId: null,
  };
  return { ok: true, content, warnings: [...text.warnings, ...hostWarnings(content)] };
}

function compileButton(
  button: TelegramNodeButton,
  field: string,
): { ok: true; button: CompiledButton } | Refusal {
  const text = compileTemplate(button.text, "text");
  if (!text.ok) return { ...text, field: `${field}.text` };
  if (!("url" in button)) return { ok: true, button: { text, url: null } };
  const url = compileTemplate(button.url, "text");
  return url.ok ? { ok: true, button: { text, url } } : { ...url, field: `${field}.url` };
}

/** Clicks on our own links would lead through us to us, and say nothing of the contact. */
function isTracked(url: string, node: TelegramNode, links: MessageLinks): boolean {
  const isOwn = [links.unsubscribe, links.preferences, links.view].some((own) => url.startsWith(own));
  return node.trackClicks && !isOwn && isTrackableUrl(url);
}

function composeText(
  { node, text }: CompiledTelegram,
  values: TemplateVariables,
  addressOf: (url: string) => string,
): { ok: true; html: string; warnings: string[] } | Refusal {
  const field = "text";
  const rendered = render(field, text, values);
  if (!rendered.ok) return rendered;
  // Half a character, such as `truncate` leaves of an emoji, has no bytes to send.
  const written = rendered.text.toWellFormed();
  const checked = checkHtml(written);
  if (!checked.ok) return { ok: false, field, reason: `it ${checked.reason}` };
  const reason = lengthProblem(checked.length, node.photo !== null);
  if (reason !== null) return { ok: false, field, reason };
  const html = rewriteLinks(written, addressOf);
  const bytes = Buffer.byteLength(html);
  if (bytes > MAX_MARKUP_BYTES) {
    const tooLong = `it comes out with ${bytes} bytes with its markup and tracked links; Telegram takes at most ${MAX_MARKUP_BYTES}`;
    return { ok: false, field, reason: tooLong };
  }
  return { ok: true, html, warnings: lostLinks(written) };
}

function lengthProblem(length: number, isCaption: boolean): string | null {
  const [noun, max] = isCaption ? ["caption", MAX_CAPTION_CHARS] : ["text", MAX_TEXT_CHARS];
  if (length > max) return `it comes out with ${length} characters; a ${noun} has at most ${max}`;
  return length === 0 && !isCaption ? "it comes out empty" : null;
}

function lostLinks(html: string): string[] {
  const lost = (linksOf(html) ?? []).filter(({ url }) => !isTrackableUrl(url) && !OTHER_LINK.test(url));
  return lost.map(({ url }) => `The link "${url}" will be plain text: it is no http or https address.`);
}

function composeKeyboard(
  { node, buttons }: CompiledTelegram,
  values: TemplateVariables,
  addressOf: (url: string) => string,
): { ok: true; rows: TelegramButton[][] } | Refusal {
  const composed = eachButton<CompiledButton, TelegramButton>(buttons, (button, field) =>
    composeButton(button, field, values, addressOf),
  );
  if (!composed.ok) return composed;
  const isThere = buttons.flat().some(({ url }) => url === null);
  if (!node.unsubscribeButton || isThere) return composed;
  const added = { text: UNSUBSCRIBE_LABEL, callbackData: UNSUBSCRIBE_CALLBACK };
  return { ok: true, rows: [...composed.rows, [added]] };
}

/** Rows of what each button becomes, or the first refusal. */
function eachButton<From, To>(
  rows: readonly (readonly From[])[],
  become: (button: From, field: string) => { ok: true; button: To } | Refusal,
): { ok: true; rows: To[][] } | Refusal {
  const done: To[][] = [];
  for (const [rowIndex, row] of rows.entries()) {
    const buttons: To[] = [];
    for (const [index, button] of row.entries()) {
      const result = become(button, `buttons.${rowIndex}.${index}`);
      if (!result.ok) return result;
      buttons.push(result.button);
    }
    done.push(buttons);
  }
  return { ok: true, rows: done };
}

function composeButton(
  button: CompiledButton,
  field: string,
  values: TemplateVariables,
  addressOf: (url: string) => string,
): { ok: true; button: TelegramButton } | Refusal {
  const rendered = render(`${field}.text`, button.text, values);
  if (!rendered.ok) return rendered;
  const line = safeHeaderText(`${field}.text`, rendered.text.trim());
  if (!line.ok) return line;
  const text = line.value;
  if (text === "") return { ok: false, field: `${field}.text`, reason: "it comes out empty" };
  if (text.length > MAX_BUTTON_CHARS) {
    const reason = `it comes out with ${text.length} characters; a button has at most ${MAX_BUTTON_CHARS}`;
    return { ok: false, field: `${field}.text`, reason };
  }
  if (button.url === null) return { ok: true, button: { text, callbackData: UNSUBSCRIBE_CALLBACK } };
  const url = render(`${field}.url`, button.url, values);
  if (!url.ok) return url;
  const address = url.text.trim();
  if (!isTrackableUrl(address))
    return { ok: false, field: `${field}.url`, reason: "it is no http or https address" };
  return { ok: true, button: { text, url: addressOf(address) } };
}

/** Telegram refuses a message whose button leads to a host without a dot, and makes a link to one plain text. */
function hostWarnings({ html, keyboard }: TelegramContent): string[] {
  const urls = [
    ...(linksOf(html) ?? []).map(({ url }) => url),
    ...keyboard.flat().flatMap((button) => ("url" in button ? [button.url] : [])),
  ];
  return [...new Set(urls.flatMap((url) => hostProblem(url) ?? []))];
}
