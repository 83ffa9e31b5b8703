import { z } from "zod";
import { DEMO_EDGES } from "./campaign.ts";
import { type Done, type Journal, NODES, NUDGE } from "./journal.ts";
import { openingsOf } from "./openings.ts";
import { isPerson, nameOf, planFor } from "./people.ts";

const hits = z.object({ total: z.number(), human: z.number() });
const reports = z.object({ total: z.number() });

/** What the demo reads of `GET /api/v1/campaigns/:id/analytics`. */
export const analytics = z.object({
  nodes: z.array(
    z.object({
      nodeId: z.string(),
      sent: z.number().default(0),
      uncertain: z.number().default(0),
      suppressed: z.number().default(0),
      failed: z.number().default(0),
      delivered: reports.default({ total: 0 }),
      bounced: reports.default({ total: 0 }),
      complained: reports.default({ total: 0 }),
      replied: reports.default({ total: 0 }),
      opened: hits.default({ total: 0, human: 0 }),
      clicked: hits.default({ total: 0, human: 0 }),
      unsubscribed: z.number().default(0),
    }),
  ),
  edges: z.array(z.object({ edgeId: z.string(), fired: z.number() })),
});

export type Analytics = z.infer<typeof analytics>;

/**
 * One line of the demo's table: how often something was done, and what EDGR says of it. `most` is higher than
 * `done` only after an interruption: what was asked and not answered may or may not have been recorded.
 */
export type Comparison = { what: string; done: number; most: number; recorded: number };

export function isEqual({ done, most, recorded }: Comparison): boolean {
  return recorded >= done && recorded <= most;
}

/** @param contacts how many were enrolled */
export function compare(journal: Journal, said: Analytics, contacts: number): Comparison[] {
  const mails = journal.entries.filter((entry) => entry.kind === "mail");
  const done = journal.entries.filter((entry) => entry.kind === "done");
  const open = unanswered(journal);
  const rows: Comparison[] = [];
  for (const node of NODES) {
    const numbers = said.nodes.find(({ nodeId }) => nodeId === node);
    const count = (steps: readonly Step[], accept: (step: Step) => boolean) =>
      steps.filter((step) => step.node === node && accept(step)).length;
    const row = (what: string, recorded: number, accept: (step: Step) => boolean) => {
      const least = count(done, accept);
      rows.push({ what: `${node}: ${what}`, done: least, most: least + count(open, accept), recorded });
    };
    const accepted = mails.filter((mail) => mail.node === node).length;
    rows.push(sentRow(node, accepted, numbers?.sent ?? 0, numbers?.uncertain ?? 0));
    row("opened", numbers?.opened.total ?? 0, ({ action }) => action === "open");
    row("opened by people", numbers?.opened.human ?? 0, (step) => step.action === "open" && isPerson(step));
    row("clicked", numbers?.clicked.total ?? 0, ({ action }) => action === "click");
    row(
      "clicked by people",
      numbers?.clicked.human ?? 0,
      (step) => step.action === "click" && isPerson(step),
    );
    row("unsubscribed", numbers?.unsubscribed ?? 0, ({ action }) => action === "unsubscribe");
  }
  const people = (action: Step["action"], steps: readonly Step[]) =>
    new Set(
      steps
        .filter((step) => step.node === "welcome" && step.action === action && isPerson(step))
        .map((step) => step.to),
    ).size;
  const all = [...done, ...open];
  const expected: Record<(typeof DEMO_EDGES)[number], [number, number]> = {
    "welcome-pause": [contacts, contacts],
    "pause-reminder": [contacts, contacts],
    // Who opens after the time is up has been written to in Telegram instead.
    "welcome-story": [
      openingsOf(journal, contacts).filter((opening) => opening === "in time").length,
      people("open", all),
    ],
    "welcome-thanks": [people("click", done), people("click", all)],
  };
  for (const edge of DEMO_EDGES) {
    const [least, most] = expected[edge];
    const recorded = said.edges.find(({ edgeId }) => edgeId === edge)?.fired ?? 0;
    rows.push({ what: `edge ${edge} fired`, done: least, most, recorded });
  }
  return rows;
}

/** Whether every message that was ever queued has come to its end. */
export function isOver(said: Analytics, contacts: number): boolean {
  const fired = (edge: string) => said.edges.find(({ edgeId }) => edgeId === edge)?.fired ?? 0;
  const due = {
    welcome: contacts,
    reminder: contacts,
    story: fired("welcome-story"),
    thanks: fired("welcome-thanks"),
    [NUDGE]: fired("welcome-nudge"),
  };
  return [...NODES, NUDGE].every((name) => {
    const node = said.nodes.find(({ nodeId }) => nodeId === name);
    const ended = node === undefined ? 0 : node.sent + node.uncertain + node.suppressed + node.failed;
    return ended === due[name];
  });
}

/** Recipients who got the same message more than once, by email or in Telegram; the demo fails when there is one. */
export function mailedTwice(journal: Journal): string[] {
  const seen = new Set<string>();
  const twice: string[] = [];
  for (const entry of journal.entries) {
    if (entry.kind !== "mail" && entry.kind !== "bubble") continue;
    const key = nameOf(entry);
    if (seen.has(key)) twice.push(key);
    seen.add(key);
  }
  return twice;
}

type Step = Pick<Done, "node" | "action" | "agent" | "to">;

// A message whose hand-over was interrupted is one that the server may have accepted.
export function sentRow(node: string, accepted: number, sent: number, uncertain: number): Comparison {
  const recorded = Math.max(sent, Math.min(accepted, sent + uncertain));
  const what = uncertain === 0 ? `${node}: sent` : `${node}: sent (${uncertain} uncertain)`;
  return { what, done: accepted, most: accepted, recorded };
}

/** What was asked of EDGR and not answered before an interruption. */
export function unanswered(journal: Journal): Step[] {
  const idsOf = (kind: "trying" | "done") =>
    journal.entries.flatMap((entry) => (entry.kind === kind ? [entry.id] : []));
  const done = new Set(idsOf("done"));
  const open = new Set(idsOf("trying").filter((id) => !done.has(id)));
  const messages = new Set([...open].map((id) => id.slice(0, id.lastIndexOf("/"))));
  return journal.entries.flatMap((entry) =>
    (entry.kind === "mail" || entry.kind === "bubble") && messages.has(nameOf(entry))
      ? planFor(entry).filter(({ id }) => open.has(id))
      : [],
  );
}
