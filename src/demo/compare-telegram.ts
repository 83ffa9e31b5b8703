import { type Analytics, type Comparison, sentRow, unanswered } from "./compare.ts";
import type { Chats } from "./conversations.ts";
import { type Journal, NUDGE } from "./journal.ts";
import { type Opening, openingsOf } from "./openings.ts";
import { type Habit, habitOf, updatesOn } from "./telegram-people.ts";

/**
 * What went to Telegram and people did there, and what EDGR says of it. EDGR can't tell what an answer in a chat is to, or
 * whether a chat failed, where an interruption left uncertain what it sent there.
 * @param contacts how many were enrolled
 */
export function compareTelegram(
  journal: Journal,
  said: Analytics,
  contacts: number,
  chats: Chats,
): Comparison[] {
  const bubbles = journal.entries.filter((entry) => entry.kind === "bubble");
  const openings = openingsOf(journal, contacts);
  const numbers = said.nodes.find(({ nodeId }) => nodeId === NUDGE);
  const {
    sent = 0,
    uncertain = 0,
    failed = 0,
    delivered,
    clicked,
    replied,
    unsubscribed = 0,
  } = numbers ?? {};

  const due = (those: readonly Opening[], ...habits: (Habit | null)[]) =>
    openings.filter((opening, number) => those.includes(opening) && habits.includes(habitOf(number))).length;
  const isDue = (...habits: (Habit | null)[]): Range => [
    due(["never"], ...habits),
    due(["never", "perhaps"], ...habits),
  ];
  const isTold = tellTaken(journal);
  const told = (kind: "message" | "message_reaction" | "callback_query"): Range => {
    const updates = bubbles.flatMap(updatesOn).filter((update) => kind in update);
    return [updates.filter(isTold).length, updates.length];
  };
  const vague = ([least, most]: Range): Range => [Math.max(0, least - uncertain), most];
  const row = (what: string, [done, most]: Range, recorded: number) => ({ what, done, most, recorded });
  const fired = (edge: string, range: Range) =>
    row(`edge ${edge} fired`, range, said.edges.find(({ edgeId }) => edgeId === edge)?.fired ?? 0);

  const clicks = clicksIn(journal);
  return [
    sentRow(NUDGE, bubbles.length, sent, uncertain),
    row(`${NUDGE}: delivered`, vague([bubbles.length, bubbles.length]), delivered?.total ?? 0),
    row(`${NUDGE}: failed (no chat, or the bot is blocked)`, vague(isDue("block", null)), failed),
    row(`${NUDGE}: clicked`, clicks, clicked?.total ?? 0),
    row(`${NUDGE}: clicked by people`, clicks, clicked?.human ?? 0),
    row(`${NUDGE}: answered`, vague(told("message")), replied?.total ?? 0),
    row(`${NUDGE}: unsubscribed`, vague(told("callback_query")), unsubscribed),
    fired("welcome-nudge", [due(["never"], ...ALL), due(["never", "perhaps"], ...ALL)]),
    fired("nudge-looked", clicks),
    fired("nudge-talking", vague(told("message"))),
    fired("nudge-gone", vague(told("callback_query"))),
    row("chats suppressed after a block", vague(isDue("block")), chats.blocked),
    row("conversations that end with an answer", told("message"), chats.answers),
    row("reactions in conversations", vague(told("message_reaction")), chats.reactions),
  ];
}

/** How often at least, and at most. */
type Range = [number, number];

const ALL = ["click", "answer", "talk", "leave", "block", "read", null] as const;

function tellTaken(journal: Journal): (update: { update_id: number }) => boolean {
  const taken = new Set(journal.entries.flatMap((entry) => (entry.kind === "taken" ? [entry.updateId] : [])));
  return ({ update_id }) => taken.has(update_id);
}

// Everybody clicks once, on the one button that there is.
function clicksIn(journal: Journal): Range {
  const isClick = ({ node, action }: { node: string; action: string }) =>
    node === NUDGE && action === "click";
  const done = journal.entries.filter((entry) => entry.kind === "done" && isClick(entry)).length;
  return [done, done + unanswered(journal).filter(isClick).length];
}
