import type { DigestTold, Told } from "../told.ts";
import { cutEscaped } from "./cut.ts";
import { events, type Link, type Summary, sayingOf, summariesOf } from "./saying.ts";
import type { Gravity } from "./voices.ts";

type Text =
  | { type: "plain_text"; text: string; emoji: false }
  | { type: "mrkdwn"; text: string; verbatim: true };

type Block = { type: "section"; text: Text } | { type: "context"; elements: Text[] };

/** What an incoming webhook takes. `text` is what notifications show. */
export type SlackMessage = {
  text: string;
  mrkdwn: false;
  unfurl_links: false;
  unfurl_media: false;
  blocks: Block[];
};

/** Slack takes 3,000 in a section; less, because all of a message may have about 13,000 (undocumented). */
const MAX_SECTION_CHARS = 2_500;
const MAX_FALLBACK_CHARS = 1_500;
/** Two blocks each, of 50; names and lines are short enough for 13,000. */
const MAX_CAMPAIGNS = 12;
const MAX_SUMMARY_CHARS = 500;

const SIGNS: Record<Gravity, string> = { bad: "🔴", doubtful: "🟡", good: "🟢", neutral: "⚪" };

/** The event for a channel. What others have written is in it as plain text alone, our links in texts of their own. */
export function slackEvent(told: Told, publicUrl: string, options: { isTest: boolean }): SlackMessage {
  const { gravity, sentence, details, links } = sayingOf(told, publicUrl, options);
  const below = details.map(({ label, text }) => `${label}: ${text}`).join("\n");
  return message(sentence, [
    section(`${SIGNS[gravity]} ${sentence}`, MAX_SECTION_CHARS),
    ...(below === "" ? [] : [section(below, MAX_SECTION_CHARS)]),
    context([time(told.at), ...links.map(link)]),
  ]);
}

/** The digest for a channel. */
export function slackDigest(digest: DigestTold, publicUrl: string): SlackMessage {
  const summaries = summariesOf(digest, publicUrl);
  const sum = summaries.reduce((total, { count }) => total + count, 0);
  const left = summaries.slice(MAX_CAMPAIGNS);
  const leftSum = left.reduce((total, { count }) => total + count, 0);
  return message(`${events(sum)} since ${digest.from.toISOString()}`, [
    section(`📊 ${events(sum)}`, MAX_SUMMARY_CHARS),
    context([`${time(digest.from)} – ${time(digest.to)}`]),
    ...summaries.slice(0, MAX_CAMPAIGNS).flatMap(summaryBlocks),
    ...(left.length === 0
      ? []
      : [section(`… and ${events(leftSum)} of ${left.length} more`, MAX_SUMMARY_CHARS)]),
  ]);
}

function summaryBlocks({ name, lines, link: campaign }: Summary): Block[] {
  return [
    section([name, ...lines.map((line) => `• ${line}`)].join("\n"), MAX_SUMMARY_CHARS),
    ...(campaign === null ? [] : [context([link(campaign)])]),
  ];
}

function message(fallback: string, blocks: Block[]): SlackMessage {
  const text = escaped(fallback, MAX_FALLBACK_CHARS);
  return { text, mrkdwn: false, unfurl_links: false, unfurl_media: false, blocks };
}

function section(text: string, max: number): Block {
  return { type: "section", text: { type: "plain_text", text: escaped(text, max), emoji: false } };
}

/** @param parts mrkdwn of our own */
function context(parts: readonly string[]): Block {
  return { type: "context", elements: [{ type: "mrkdwn", text: parts.join(" · "), verbatim: true }] };
}

function link({ label, url }: Link): string {
  return `<${escapeMrkdwn(url)}|${label}>`;
}

/** In the reader's own time zone. */
function time(at: Date): string {
  return `<!date^${Math.floor(at.getTime() / 1_000)}^{date_short_pretty} {time_secs}|${at.toISOString()}>`;
}

function escaped(text: string, max: number): string {
  return cutEscaped(escapeMrkdwn(text), max, /&(?:amp|lt|gt);|./gsu);
}

/** Slack decodes these three wherever there is text, and no others. */
function escapeMrkdwn(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
