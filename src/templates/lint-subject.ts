import type { Severity } from "./severity.ts";

export type SubjectRule =
  | "subject-empty"
  | "subject-capitals"
  | "subject-exclamation"
  | "subject-fake-reply"
  | "subject-long";

type Problem = { rule: SubjectRule; severity: Severity; message: string };

/** Fewer letters than this may well be an abbreviation. */
const MIN_CAPITALS = 6;
/** What the narrowest inboxes show, and some more. */
const LONG_CHARS = 100;
const LIQUID = /\{\{.*?\}\}|\{%.*?%\}/gs;

/** What makes a subject look like spam, or not like one at all. */
export function lintSubject(subject: string, isTemplate: boolean): Problem[] {
  const line = isTemplate ? subject.replace(LIQUID, "") : subject;
  const letters = line.replace(/[^\p{L}]/gu, "");
  const isLoud =
    letters.length >= MIN_CAPITALS && letters === letters.toUpperCase() && /\p{Lu}/u.test(letters);
  const rules: [boolean, SubjectRule, Severity, string][] = [
    [subject.trim() === "", "subject-empty", "error", "The subject is empty."],
    [isLoud, "subject-capitals", "warning", "The subject is all in capitals, which spam filters count."],
    [
      /!\s*!/.test(line) || line.split("!").length > 3,
      "subject-exclamation",
      "warning",
      "The subject has many exclamation marks, which spam filters count.",
    ],
    [
      /^\s*(?:re|fwd?|aw|wg)\s*:/i.test(line),
      "subject-fake-reply",
      "warning",
      "The subject looks like a reply or a forwarded mail, which this is not: laws forbid to mislead.",
    ],
    [
      line.length > LONG_CHARS,
      "subject-long",
      "info",
      `The subject is longer than ${LONG_CHARS} characters: inboxes cut it.`,
    ],
  ];
  return rules.filter(([is]) => is).map(([, rule, severity, message]) => ({ rule, severity, message }));
}
