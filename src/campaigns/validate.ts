import type { FieldProblem } from "../errors.ts";
import { isTrackableUrl } from "../tracking/links.ts";
import { durationProblem } from "./duration.ts";
import { EVENTS_OF, TRIGGERS } from "./graph.ts";
import { type Campaign, type Edge, FIRES_WHEN, type MessageNode, type Node } from "./schema.ts";
import { structureProblems } from "./structure.ts";
import { type TrackedLinks, trackedLinks } from "./tracked-links.ts";

const CONTROL = /[\p{Cc}\u2028\u2029]/u;
/** PostgreSQL takes no NUL in text, and half a character can't be encoded as UTF-8. */
const UNSTORABLE = /[\0\p{Surrogate}]/u;
const SHOWN_LINKS = 3;
const SHOWN_LENGTH = 200;

type LinksOf = (node: MessageNode) => TrackedLinks;

/**
 * Everything that is wrong with a campaign of the right shape, each with its field and the node or edge by name.
 * None: it can be compiled and run. Whether its templates are good Liquid is the messages' business, not asked here.
 */
export function validateCampaign(campaign: Campaign): FieldProblem[] {
  const nodes = new Map(campaign.nodes.map((node) => [node.id, node]));
  const linksOf = rememberedLinks();
  return [
    ...problem("name", "the campaign's name", lineProblem(campaign.name)),
    ...duplicateIds(campaign.nodes, "nodes", "node"),
    ...campaign.nodes.flatMap((node, index) => nodeProblems(node, `nodes.${index}`)),
    ...duplicateIds(campaign.edges, "edges", "edge"),
    ...identicalEdges(campaign.edges),
    ...campaign.edges.flatMap((edge, index) => edgeProblems(edge, `edges.${index}`, nodes, linksOf)),
    ...structureProblems(campaign),
  ];
}

function duplicateIds(items: readonly { id: string }[], list: string, noun: string): FieldProblem[] {
  const first = new Map<string, number>();
  return items.flatMap(({ id }, index) => {
    const other = first.get(id);
    if (other === undefined) first.set(id, index);
    return problem(
      `${list}.${index}.id`,
      `${noun} "${id}"`,
      other === undefined ? null : `has the id of ${list}.${other}; ids must be unique`,
    );
  });
}

function nodeProblems(node: Node, field: string): FieldProblem[] {
  const subject = `node "${node.id}"`;
  switch (node.type) {
    case "message":
      return [
        ...problem(`${field}.subject`, `the subject of ${subject}`, lineProblem(node.subject)),
        ...problem(`${field}.html`, `the html of ${subject}`, textProblem(node.html)),
        ...problem(
          `${field}.text`,
          `the text of ${subject}`,
          node.text === null ? null : textProblem(node.text),
        ),
        ...problem(
          `${field}.from.name`,
          `the sender's name of ${subject}`,
          node.from === null || node.from.name === null ? null : lineProblem(node.from.name),
        ),
      ];
    case "wait":
      return problem(`${field}.duration`, `the duration of ${subject}`, durationProblem(node.duration));
    case "exit":
      return [];
  }
}

/** What is put into a header, or shown on one line. */
function lineProblem(text: string): string | null {
  if (CONTROL.test(text)) return "must not contain line breaks or control characters";
  return textProblem(text);
}

function textProblem(text: string): string | null {
  if (text.trim() === "") return "must not be empty";
  return UNSTORABLE.test(text) ? "must not contain NUL or halves of surrogate pairs" : null;
}

function identicalEdges(edges: readonly Edge[]): FieldProblem[] {
  const first = new Map<string, string>();
  return edges.flatMap((edge, index) => {
    const key = JSON.stringify([edge.from, edge.to, edge.firesWhen, edge.url]);
    const other = first.get(key);
    if (other === undefined) first.set(key, edge.id);
    return problem(
      `edges.${index}`,
      `edge "${edge.id}"`,
      other === undefined ? null : `is the same as edge "${other}"`,
    );
  });
}

function edgeProblems(
  edge: Edge,
  field: string,
  nodes: ReadonlyMap<string, Node>,
  linksOf: LinksOf,
): FieldProblem[] {
  const subject = `edge "${edge.id}"`;
  const from = nodes.get(edge.from);
  return [
    ...problem(
      `${field}.from`,
      subject,
      from ? exitProblem(from) : `leaves node "${edge.from}", which does not exist`,
    ),
    ...problem(
      `${field}.to`,
      subject,
      nodes.has(edge.to) ? selfLoopProblem(edge) : `leads to node "${edge.to}", which does not exist`,
    ),
    ...problem(`${field}.firesWhen`, subject, from ? neverFires(edge, from, linksOf) : null),
    ...problem(`${field}.url`, subject, urlProblem(edge) ?? missingLink(edge, from, linksOf)),
  ];
}

function exitProblem(from: Node): string | null {
  return from.type === "exit" ? `can never fire: the campaign ends at the exit "${from.id}"` : null;
}

function selfLoopProblem(edge: Edge): string | null {
  if (edge.from !== edge.to) return null;
  return `leads from node "${edge.from}" to itself, but a node runs once per enrollment`;
}

function neverFires(edge: Edge, from: Node, linksOf: LinksOf): string | null {
  if (from.type === "exit") return null;
  const possible = FIRES_WHEN.filter((when) =>
    TRIGGERS[when].some((type) => EVENTS_OF[from.type].includes(type)),
  );
  if (!possible.includes(edge.firesWhen))
    return `can never fire: from the ${from.type} node "${from.id}" an edge fires when ${possible.join(", ")}`;
  if (from.type !== "message") return null;
  if (edge.firesWhen === "opened" && !from.trackOpens)
    return `can never fire: node "${from.id}" does not track opens (trackOpens)`;
  if (edge.firesWhen !== "clicked") return null;
  if (!from.trackClicks) return `can never fire: node "${from.id}" does not track clicks (trackClicks)`;
  const links = linksOf(from);
  return links.complete && links.urls.size === 0
    ? `can never fire: the html of node "${from.id}" has no link that is tracked`
    : null;
}

function urlProblem(edge: Edge): string | null {
  if (edge.url === null) return null;
  if (edge.firesWhen !== "clicked") return `fires when ${edge.firesWhen}: only a clicked edge can have a url`;
  return isTrackableUrl(edge.url) && !UNSTORABLE.test(edge.url)
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
  return `can never fire: ${shortened(edge.url)} is no link in the html of node "${from.id}", which has ${some}${more}`;
}

/** Each message's HTML is parsed when a click edge first asks, and once. */
function rememberedLinks(): LinksOf {
  const known = new Map<string, TrackedLinks>();
  return (node) => {
    const links = known.get(node.id) ?? trackedLinks(node.html);
    known.set(node.id, links);
    return links;
  };
}

function problem(field: string, subject: string, reason: string | null): FieldProblem[] {
  return reason === null ? [] : [{ field, reason: `${subject} ${reason}` }];
}

function shortened(url: string): string {
  return url.length > SHOWN_LENGTH ? `${url.slice(0, SHOWN_LENGTH)}…` : url;
}
