/** Of a message's text, after its markup has been read (Bot API, sendMessage). */
export const MAX_TEXT_CHARS = 4096;
/** Of the text below a photo (Bot API, sendPhoto). */
export const MAX_CAPTION_CHARS = 1024;
/** Of a text with its markup: `get_formatted_text` of the Bot API's server refuses more. */
export const MAX_MARKUP_BYTES = 1 << 15;
/** Telegram shows no more of a button's text on a telephone, long before it refuses any. */
export const MAX_BUTTON_CHARS = 64;
/** Of a message; a row of more is one of its own to Telegram. */
export const MAX_BUTTONS = 100;
export const MAX_BUTTONS_IN_ROW = 8;

/** What the button says that is added to a message without one. */
export const UNSUBSCRIBE_LABEL = "Unsubscribe";

/** Why Telegram opens no link to this http or https address, in a sentence; null: it does. */
export function hostProblem(url: string): string | null {
  const host = URL.parse(url)?.hostname ?? "";
  if (host === "" || host.includes(".") || host.startsWith("[")) return null;
  return `Telegram opens no links to ${host}: a host needs a dot in its name.`;
}
