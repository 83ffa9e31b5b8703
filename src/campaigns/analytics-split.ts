import { hitsOf, numbersOf } from "./analytics.ts";
import type { Count, FiredCount, NodeCount } from "./analytics-queries.ts";
import type { Edge, Graph, Node } from "./schema.ts";

/** Of 95 %. */
const Z = 1.959964;

export type Rate = {
  /** Between 0 and 1; null when nothing was sent. */
  rate: number | null;
  low: number | null;
  high: number | null;
  /** How likely a difference from the first variant at least as large were by chance; null where it can't be said. */
  pValue: number | null;
};

/**
 * The variants of every split, each with the message that its edge leads to. A message that other edges lead to as
 * well has numbers of all of them, so it is not compared.
 */
export function splitsOf(
  graph: Pick<Graph, "nodes" | "edges">,
  counts: readonly NodeCount[],
  fired: readonly FiredCount[],
) {
  const byNode = Map.groupBy(counts, (count) => count.nodeId);
  const byEdge = new Map(fired.map((count) => [count.edgeId, count.fired]));
  return graph.nodes.flatMap((node) => {
    if (node.type !== "split") return [];
    const variants = node.variants.map(({ id, weight }) => {
      const edge = edgeOf(graph, node, id);
      const counted = edge === undefined ? [] : (byNode.get(edge.to) ?? []);
      const chosen = graph.edges.find((other) => other.from === node.id && other.variant === id);
      const assigned = byEdge.get(chosen?.id ?? "") ?? 0;
      return {
        variant: id,
        weight,
        edgeId: edge?.id ?? null,
        nodeId: edge?.to ?? null,
        assigned,
        ...outcome(counted),
      };
    });
    return [{ nodeId: node.id, variants: variants.map((variant) => withRates(variant, variants[0])) }];
  });
}

type Outcome = { sent: number; opened: number; clicked: number };

function outcome(counts: readonly Count[]): Outcome {
  return {
    sent: numbersOf(counts).sent,
    opened: hitsOf(counts, "email_opened").uniqueHuman,
    clicked: hitsOf(counts, "email_clicked").uniqueHuman,
  };
}

/** The one edge that takes the variant to a message that nothing else leads to. */
function edgeOf(graph: Pick<Graph, "nodes" | "edges">, split: Node, variant: string): Edge | undefined {
  const types = new Map(graph.nodes.map((node) => [node.id, node.type]));
  return graph.edges.find(
    (edge) =>
      edge.from === split.id &&
      edge.variant === variant &&
      types.get(edge.to) === "message" &&
      graph.edges.filter((other) => other.to === edge.to).length === 1,
  );
}

function withRates<Variant extends Outcome>(variant: Variant, first: Outcome | undefined) {
  const { sent, opened, clicked } = variant;
  const against = first === undefined || first === variant ? null : first;
  return {
    ...variant,
    openRate: rateOf(opened, sent, against === null ? null : { part: against.opened, whole: against.sent }),
    clickRate: rateOf(
      clicked,
      sent,
      against === null ? null : { part: against.clicked, whole: against.sent },
    ),
  };
}

/**
 * A share with its Wilson score interval, and the two-sided p-value of the pooled two-proportion z-test:
 * z = (p1 − p2) / √(p (1 − p) (1/n1 + 1/n2)), p = (x1 + x2) / (n1 + n2).
 */
export function rateOf(part: number, whole: number, against: { part: number; whole: number } | null): Rate {
  // Opens can pass what was sent where an answer was lost; more than all is not a share.
  if (whole === 0) return { rate: null, low: null, high: null, pValue: null };
  const rate = Math.min(1, part / whole);
  const spread = 1 + Z ** 2 / whole;
  const middle = (rate + Z ** 2 / (2 * whole)) / spread;
  const half = (Z * Math.sqrt((rate * (1 - rate)) / whole + Z ** 2 / (4 * whole ** 2))) / spread;
  return {
    rate,
    low: Math.max(0, middle - half),
    high: Math.min(1, middle + half),
    pValue: against === null ? null : pValueOf({ part: rate * whole, whole }, against),
  };
}

function pValueOf(a: { part: number; whole: number }, b: { part: number; whole: number }): number | null {
  if (b.whole === 0) return null;
  const rateOfB = Math.min(1, b.part / b.whole);
  const pooled = (a.part + rateOfB * b.whole) / (a.whole + b.whole);
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / a.whole + 1 / b.whole));
  return error === 0 ? null : upperTails(Math.abs(a.part / a.whole - rateOfB) / error);
}

/** Both tails of the normal distribution beyond ±z: erfc(z/√2) by Abramowitz and Stegun 7.1.26, to 1.5e-7. */
function upperTails(z: number): number {
  const x = z / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const poly =
    t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.min(1, poly * Math.exp(-(x ** 2)));
}
