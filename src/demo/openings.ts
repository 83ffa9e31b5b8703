import { demoAddress, NUDGE_AFTER_MS } from "./campaign.ts";
import type { Journal, Mail } from "./journal.ts";
import { isPerson, opens } from "./people.ts";

/** Whether somebody opened the welcome before he was to be written to in Telegram. */
export type Opening =
  | "in time"
  /** EDGR answered later, or not any more before an interruption: what it took for first is for it to say. */
  | "perhaps"
  | "never";

/** How everybody who was enrolled took the welcome, by number. */
export function openingsOf(journal: Journal, contacts: number): Opening[] {
  const mails = new Map(
    journal.entries.flatMap((entry) =>
      entry.kind === "mail" && entry.node === "welcome" ? [[entry.to, entry] as const] : [],
    ),
  );
  const inTime = new Set(
    journal.entries.flatMap((entry) => {
      const isOpening =
        entry.kind === "done" && entry.node === "welcome" && entry.action === "open" && isPerson(entry);
      const mail = isOpening ? mails.get(entry.to) : undefined;
      return isOpening && mail !== undefined && isInTime(mail, entry.at) ? [entry.to] : [];
    }),
  );
  return Array.from({ length: contacts }, (_, number) => {
    const to = demoAddress(number);
    if (inTime.has(to)) return "in time";
    const mail = mails.get(to);
    return mail !== undefined && opens(mail) ? "perhaps" : "never";
  });
}

// EDGR's time begins when the mail server has answered it, which is later than `at`.
function isInTime(mail: Mail, openedAt: string): boolean {
  return Date.parse(openedAt) <= Date.parse(mail.at) + NUDGE_AFTER_MS;
}
