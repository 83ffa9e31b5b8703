import { z } from "zod";
import { maybe, maybeNumber, maybeText, text } from "./fields.ts";

/** What a stretch of a text is, by UTF-16 code units: the indices of a JavaScript string. */
export type Entity = {
  type: string;
  offset: number;
  length: number;
  url: string | null;
  language: string | null;
  userId: number | null;
  customEmojiId: string | null;
};

/** More than Telegram takes in a message. */
const MAX_ENTITIES = 500;

const entity = z.object({
  type: text,
  offset: z.int(),
  length: z.int(),
  url: maybeText,
  language: maybeText,
  user: maybe(z.object({ id: maybeNumber })),
  custom_emoji_id: maybeText,
});

/**
 * The entities of a text, in its order, each within it and around whole characters; one that is nowhere in it, or
 * that can't be read, is left out.
 */
export function readEntities(given: unknown, of: string): Entity[] {
  if (!Array.isArray(given)) return [];
  return given
    .slice(0, MAX_ENTITIES)
    .flatMap((item) => {
      const parsed = entity.safeParse(item);
      if (!parsed.success) return [];
      const { offset, length, user, custom_emoji_id: customEmojiId, ...rest } = parsed.data;
      const start = Math.max(0, offset);
      const end = Math.min(of.length, offset + length);
      if (end <= start) return [];
      const from = splitsPair(of, start) ? start - 1 : start;
      const to = splitsPair(of, end) ? end + 1 : end;
      return [{ ...rest, offset: from, length: to - from, userId: user?.id ?? null, customEmojiId }];
    })
    .sort((one, other) => one.offset - other.offset || other.length - one.length);
}

const PLAIN_TAGS: { [type: string]: string | undefined } = {
  bold: "b",
  italic: "i",
  underline: "u",
  strikethrough: "s",
  code: "code",
  pre: "pre",
  blockquote: "blockquote",
  expandable_blockquote: "blockquote",
};

/**
 * The text with its entities as HTML that is safe to show: everything in it is escaped, and links lead to http or
 * https only.
 * @param entities as `readEntities` gives them; one that reaches out of another ends with it
 */
export function toHtml(of: string, entities: readonly Entity[]): string {
  const open: { end: number; close: string }[] = [];
  let html = "";
  let place = 0;
  const write = (end: number) => {
    html += escapeHtml(of.slice(place, end));
    place = end;
  };
  const closeThrough = (end: number) => {
    for (let last = open.at(-1); last !== undefined && last.end <= end; last = open.at(-1)) {
      write(last.end);
      html += last.close;
      open.pop();
    }
  };
  for (const item of entities) {
    const tag = tagOf(item);
    if (tag === null) continue;
    closeThrough(item.offset);
    write(item.offset);
    html += tag.open;
    const end = Math.min(item.offset + item.length, open.at(-1)?.end ?? of.length);
    open.push({ end, close: tag.close });
  }
  closeThrough(of.length);
  write(of.length);
  return html;
}

function tagOf({ type, url }: Entity): { open: string; close: string } | null {
  if (type === "text_link" && url !== null && /^https?:\/\//i.test(url))
    return { open: `<a href="${escapeHtml(url)}" rel="noopener noreferrer nofollow">`, close: "</a>" };
  const name = Object.hasOwn(PLAIN_TAGS, type) ? PLAIN_TAGS[type] : undefined;
  return name === undefined ? null : { open: `<${name}>`, close: `</${name}>` };
}

const ESCAPES: { [character: string]: string } = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escapeHtml(plain: string): string {
  return plain.replace(/[&<>"]/g, (character) => ESCAPES[character] ?? character);
}

/** Whether a place is between the two halves of one character. */
function splitsPair(of: string, place: number): boolean {
  return /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(of.slice(Math.max(0, place - 1), place + 1));
}
