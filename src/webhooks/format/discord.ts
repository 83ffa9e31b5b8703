import type { DigestTold, Told } from "../told.ts";
import { cutEscaped } from "./cut.ts";
import { events, type Link, type Summary, sayingOf, summariesOf } from "./saying.ts";
import type { Gravity } from "./voices.ts";

type Embed = {
  title: string;
  description: string;
  color: number;
  /** ISO 8601; readers see it in their own time zone. */
  timestamp: string;
  fields: { name: string; value: string }[];
};

/** What a webhook takes: one embed, which mentions nobody. */
export type DiscordMessage = { allowed_mentions: { parse: [] }; embeds: [Embed] };

const MAX_TITLE_CHARS = 256;
const MAX_DESCRIPTION_CHARS = 3_000;
const MAX_FIELD_CHARS = 1_000;
/** Of 25 fields; names and lines are short enough for 6,000 in all. */
const MAX_CAMPAIGNS = 8;
const MAX_SUMMARY_CHARS = 300;
const MAX_SUMMARY_NAME_CHARS = 100;

const COLOURS: Record<Gravity, number> = {
  bad: 0xd03b3b,
  doubtful: 0xe0a100,
  good: 0x2f9e44,
  neutral: 0x868e96,
};

/** The event for a channel. What others have written is escaped, the only markup is our links. */
export function discordEvent(told: Told, publicUrl: string, options: { isTest: boolean }): DiscordMessage {
  const { title, gravity, sentence, details, links } = sayingOf(told, publicUrl, options);
  return message({
    title: escaped(title, MAX_TITLE_CHARS),
    description: escaped(sentence, MAX_DESCRIPTION_CHARS),
    color: COLOURS[gravity],
    timestamp: told.at.toISOString(),
    fields: [
      ...details.map(({ label, text }) => ({ name: label, value: escaped(text, MAX_FIELD_CHARS) })),
      ...(links.length === 0 ? [] : [{ name: "Open", value: links.map(link).join(" · ") }]),
    ],
  });
}

/** The digest for a channel. */
export function discordDigest(digest: DigestTold, publicUrl: string): DiscordMessage {
  const summaries = summariesOf(digest, publicUrl);
  const sum = summaries.reduce((total, { count }) => total + count, 0);
  const left = summaries.slice(MAX_CAMPAIGNS);
  const leftSum = left.reduce((total, { count }) => total + count, 0);
  return message({
    title: events(sum),
    description: `${time(digest.from)} – ${time(digest.to)}`,
    color: COLOURS.neutral,
    timestamp: digest.to.toISOString(),
    fields: [
      ...summaries.slice(0, MAX_CAMPAIGNS).map(summaryField),
      ...(left.length === 0 ? [] : [{ name: "…", value: `and ${events(leftSum)} of ${left.length} more` }]),
    ],
  });
}

function summaryField({ name, lines, link: campaign }: Summary): Embed["fields"][number] {
  const counts = escaped(lines.join("\n"), MAX_SUMMARY_CHARS);
  return {
    name: escaped(name, MAX_SUMMARY_NAME_CHARS),
    value: campaign === null ? counts : `${counts}\n${link(campaign)}`,
  };
}

function message(embed: Embed): DiscordMessage {
  return { allowed_mentions: { parse: [] }, embeds: [embed] };
}

function link({ label, url }: Link): string {
  return `[${label}](${url.replaceAll("(", "%28").replaceAll(")", "%29")})`;
}

/** In the reader's own time zone: date and time. */
function time(at: Date): string {
  return `<t:${Math.floor(at.getTime() / 1_000)}:f>`;
}

function escaped(text: string, max: number): string {
  return cutEscaped(escapeMarkdown(text), max, /\\.|./gsu);
}

/**
 * A backslash takes its meaning from whatever has one in Discord's markdown: the colon is the one in `https://`, which
 * would become a link, and the rest begins lists where it begins a line.
 */
function escapeMarkdown(text: string): string {
  return text
    .replace(/[\\*_~`|<>[\]()#@:]/g, "\\$&")
    .replace(/^([ \t]*)([-+])/gm, "$1\\$2")
    .replace(/^([ \t]*\d+)\./gm, "$1\\.");
}
