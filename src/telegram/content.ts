/** A button below a message: it opens an address, or tells the bot `callbackData` (1 to 64 bytes). */
export type TelegramButton = { text: string; url: string } | { text: string; callbackData: string };

/** What a message of a bot says, ready to be sent. Previews of its links are never shown. */
export type TelegramContent = {
  /** In Telegram's HTML subset: the text, or the caption of `photo`. Empty only below a photo. */
  html: string;
  /** An http or https address that Telegram fetches. */
  photo: string | null;
  /** Rows of buttons; empty for none. */
  keyboard: TelegramButton[][];
  /** Arrives without a sound. */
  silent: boolean;
  /** Can't be forwarded or saved. */
  protectContent: boolean;
  /** Telegram's id, in the same chat, of the message that this one answers. */
  replyToMessageId: number | null;
};
