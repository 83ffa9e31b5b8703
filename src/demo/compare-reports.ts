import type { Analytics, Comparison } from "./compare.ts";
import { type Journal, type Mail, NODES, type What } from "./journal.ts";
import { reportsOf } from "./ses.ts";

/** How many addresses EDGR has suppressed for each reason. */
export type Suppressed = { bounce: number; complaint: number };

type Report = Pick<Mail, "to" | "node"> & { what: What };

/** What SES reported, each fact once however often it was told, and what EDGR says of it. */
export function compareReports(journal: Journal, said: Analytics, suppressed: Suppressed): Comparison[] {
  const { taken, all, forgeries, refused } = readReports(journal);
  const rows: Comparison[] = [];
  const row = (what: string, recorded: number, accept: (report: Report) => boolean) =>
    rows.push({ what, done: taken.filter(accept).length, most: all.filter(accept).length, recorded });
  for (const node of NODES) {
    const numbers = said.nodes.find(({ nodeId }) => nodeId === node);
    const of = (what: string, recorded: number | undefined, ...whats: What[]) =>
      row(`${node}: ${what}`, recorded ?? 0, (report) => report.node === node && whats.includes(report.what));
    of("delivered", numbers?.delivered.total, "delivery");
    of("bounced", numbers?.bounced.total, "hard bounce", "soft bounce");
    of("complained", numbers?.complained.total, "complaint");
    of("answered", numbers?.replied.total, "reply");
  }
  const fired = (edge: string) => said.edges.find(({ edgeId }) => edgeId === edge)?.fired ?? 0;
  const isOfWelcome = (...whats: What[]) => {
    return ({ node, what }: Report) => node === "welcome" && whats.includes(what);
  };
  row("edge welcome-answered fired", fired("welcome-answered"), isOfWelcome("reply"));
  row(
    "edge welcome-unreachable fired",
    fired("welcome-unreachable"),
    isOfWelcome("hard bounce", "soft bounce"),
  );
  const addresses = (what: What, reports: readonly Report[]) =>
    new Set(reports.filter((report) => report.what === what).map(({ to }) => to)).size;
  const suppression = (what: string, report: What, recorded: number) =>
    rows.push({
      what: `addresses suppressed after ${what}`,
      done: addresses(report, taken),
      most: addresses(report, all),
      recorded,
    });
  suppression("a bounce", "hard bounce", suppressed.bounce);
  suppression("a complaint", "complaint", suppressed.complaint);
  rows.push({ what: "forged reports refused", done: forgeries, most: forgeries, recorded: refused });
  return rows;
}

function readReports(journal: Journal) {
  const told = journal.entries.filter((entry) => entry.kind === "told");
  const nameOf = (id: string) => id.slice(0, id.lastIndexOf("/"));
  const accepted = new Set(told.filter(({ status }) => status === 200).map(({ id }) => nameOf(id)));
  const forged = told.filter(({ what }) => what === "forgery");
  const all = journal.entries.flatMap((entry) =>
    entry.kind === "mail"
      ? reportsOf(entry).map((what) => ({
          to: entry.to,
          node: entry.node,
          what,
          isTaken: accepted.has(`${entry.sesId}/${what}`),
        }))
      : [],
  );
  return {
    all,
    taken: all.filter(({ isTaken }) => isTaken),
    forgeries: forged.length,
    refused: forged.filter(({ status }) => status === 403).length,
  };
}
