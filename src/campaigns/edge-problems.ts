import type { FieldProblem } from "../errors.ts";
import { isTrackableUrl } from "../tracking/links.ts";
import { durationProblem } from "./duration.ts";
import { isNegative, TRIGGERS } from "./graph.ts";
import { isStorable, problem, repeated, shortened } from "./problem.ts";
import type { Campaign, Edge, FiresWhen, MessageNode, Node } from "./schema.ts";
import { type TrackedLinks, trackedLinks } from "./tracked-links.ts";

const SHOWN_LINKS = 3;

/** What Telegram tells no bot, or what does not happen there. */
const NOT_IN_TELEGRAM: Partial<Record<FiresWhen, string>> = {
  opened: "Telegram does not tell who opened a message",
  notOpened: "Telegram does not tell who opened a message",
  bounced: "a Telegram message does not bounce; one that can't be sent has failed",
  complained: "Telegram does not tell who complained",
};

type LinksOf = (node: MessageNode) => TrackedLinks;

/** What is wrong with the edges one by one: they dangle, can never fire, or say what has no meaning for them. */
export function edgesProblems(
  { edges, exitOn }: Pick<Campaign, "edges" | "exitOn">,
  nodes: ReadonlyMap<string, Node>,
): FieldProblem[] {
  const linksOf = rememberedLinks();
  return [
    ...identicalEdges(edges),
    ...edges.flatMap((edge, index) => {
      const from = nodes.get(edge.from);
      return [
        ...endProblems(edge, `edges.${index}`, from, nodes),
        ...problem(
          `edges.${index}.firesWhen`,
          `edge "${edge.id}"`,
          from ? (neverFires(edge, from, exitOn) ?? untracked(edge, from, linksOf)) : null,
        ),
        ...detailProblems(edge, `edges.${index}`, from, linksOf),
      ];
    }),
  ];
}

function identicalEdges(edges: readonly Edge[]): FieldProblem[] {
  return repeated(
    edges,
    ({ from, to, firesWhen, url, within, variant }) =>
      JSON.stringify([from, to, firesWhen, url, within, variant]),
    ({ id }, index, first) =>
      problem(`edges.${index}`, `edge "${id}"`, `is the same as edge "${edges[first]?.id}"`),
  );
}

function endProblems(
  edge: Edge,
  field: string,
  from: Node | undefined,
  nodes: ReadonlyMap<string, Node>,
): FieldProblem[] {
  const subject = `edge "${edge.id}"`;
  return [
    ...problem(
      `${field}.from`,
      subject,
      from ? exitProblem(from) : `leaves node "${edge.from}", which does not exist`,
    ),
    ...problem(
      `${field}.to`,
      subject,
      nodes.has(edge.to) ? null : `leads to node "${edge.to}", which does not exist`,
    ),
  ];
}

function exitProblem(from: Node): string | null {
  return from.type === "exit" ? `can never fire: the campaign ends at the exit "${from.id}"` : null;
}

function neverFires({ firesWhen }: Edge, from: Node, exitOn: Campaign["exitOn"]): string | null {
  if (from.type === "exit") return null;
  if (TRIGGERS[from.type][firesWhen] === undefined) {
    const possible = Object.keys(TRIGGERS[from.type]).join(", ");
    return `can never fire: from the ${from.type} node "${from.id}" an edge fires when ${possible}`;
  }
  return exitOn.some((reason) => reason === firesWhen)
    ? `can never fire: the campaign ends for a contact that has ${firesWhen} (exitOn)`
    : null;
}

/** Nobody could tell whether it happened. An edge that waits for it not to happen would fire for all. */
function untracked(edge: Edge, from: Node, linksOf: LinksOf): string | null {
  if (from.type !== "message") return null;
  const result = isNegative(edge.firesWhen) ? "would fire for everybody" : "can never fire";
  if (from.channel === "telegram") {
    const reason = NOT_IN_TELEGRAM[edge.firesWhen];
    if (reason !== undefined) return `${result} from node "${from.id}": ${reason}`;
  }
  const isOfOpens = edge.firesWhen === "opened" || edge.firesWhen === "notOpened";
  if (from.channel === "email" && isOfOpens && !from.trackOpens)
    return `${result}: node "${from.id}" does not track opens (trackOpens)`;
  if (edge.firesWhen !== "clicked" && edge.firesWhen !== "notClicked") return null;
  if (!from.trackClicks) return `${result}: node "${from.id}" does not track clicks (trackClicks)`;
  const links = linksOf(from);
  if (!links.complete || links.urls.size > 0) return null;
  return from.channel === "email"
    ? `${result}: the html of node "${from.id}" has no link that is tracked`
    : `${result}: node "${from.id}" has no link and no button that is tracked`;
}

function detailProblems(edge: Edge, field: string, from: Node | undefined, linksOf: LinksOf): FieldProblem[] {
  const subject = `edge "${edge.id}"`;
  return [
    ...problem(`${field}.url`, subject, urlProblem(edge) ?? missingLink(edge, from, linksOf)),
    ...problem(`${field}.within`, subject, withinProblem(edge)),
    ...problem(`${field}.variant`, subject, variantProblem(edge, from)),
  ];
}

function urlProblem(edge: Edge): string | null {
  if (edge.url === null) return null;
  if (edge.firesWhen !== "clicked") return `fires when ${edge.firesWhen}: only a clicked edge can have a url`;
  return isTrackableUrl(edge.url) && isStorable(edge.url)
    ? null
    : "must have an http or https address without user name as its url";
}

/** The one link the edge waits for is certainly not in the message. */
function missingLink(edge: Edge, from: Node | undefined, linksOf: LinksOf): string | null {
  if (edge.url === null || from?.type !== "message" || !from.trackClicks) return null;
  const links = linksOf(from);
  if (!links.complete || links.urls.size === 0 || links.urls.has(edge.url)) return null;
  const some = [...links.urls].slice(0, SHOWN_LINKS).map(shortened).join(", ");
  const more = links.urls.size > SHOWN_LINKS ? ` and ${links.urls.size - SHOWN_LINKS} more` : "";
  return `can never fire: ${shortened(edge.url)} is no link ${from.channel === "email" ? "in the html" : "and no button"} of node "${from.id}", which has ${some}${more}`;
}

function withinProblem({ firesWhen, within }: Edge): string | null {
  if (!isNegative(firesWhen)) {
    return within === null
      ? null
      : `fires when ${firesWhen}: only a notOpened, notClicked or notReplied edge can have a within`;
  }
  if (within === null) return `fires when ${firesWhen}: it must say within which time, such as P3D`;
  const reason = durationProblem(within);
  return reason === null ? null : `has a within that ${reason}`;
}

function variantProblem({ firesWhen, variant }: Edge, from: Node | undefined): string | null {
  if (firesWhen !== "variant") {
    return variant === null ? null : `fires when ${firesWhen}: only a variant edge can have a variant`;
  }
  if (variant === null) return "must say for which variant it fires";
  if (from?.type !== "split" || from.variants.some(({ id }) => id === variant)) return null;
  const possible = from.variants.map(({ id }) => `"${id}"`).join(", ");
  return `can never fire: "${variant}" is no variant of node "${from.id}", which has ${possible}`;
}

/** Each message's HTML is parsed when a click edge first asks, and once. */
function rememberedLinks(): LinksOf {
  const known = new Map<string, TrackedLinks>();
  return (node) => {
    const links = known.get(node.id) ?? trackedLinks(node);
    known.set(node.id, links);
    return links;
  };
}
