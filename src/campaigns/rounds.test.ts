import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { edge, messageNode, validCampaign } from "../../test/support/graphs.ts";
import { targetRound } from "../../test/support/reference-rounds.ts";
import { entriesOf } from "./graph.ts";
import { edgeRounds } from "./rounds.ts";
import { type Edge, type Graph, MAX_NODES } from "./schema.ts";

/** The edges of a graph whose nodes are the letters they name, as "within" or "closes". */
function roundsOf(...edges: string[]): { [edge: string]: string } {
  const ids = [...new Set(edges.join(""))];
  const graph = {
    nodes: ids.map((id) => messageNode(id)),
    edges: edges.map((ends) => edge(ends, ends[0] ?? "", ends[1] ?? "")),
  };
  const rounds = edgeRounds(graph, ids[0] ?? "");
  return Object.fromEntries(
    [...rounds].flatMap(([id, { withinCycle, closesCycle }]) => {
      if (closesCycle) expect(withinCycle).toBeTrue();
      return withinCycle ? [[id, closesCycle ? "closes" : "within"]] : [];
    }),
  );
}

describe("an edge", () => {
  test("of a graph without a way back is in no cycle", () => {
    expect(roundsOf("ab", "ac", "bd", "cd", "ad")).toEqual({});
  });

  test("that leads back to where it came from closes the cycle; those on the way are within it", () => {
    expect(roundsOf("ab", "bc", "ca", "cd")).toEqual({ ab: "within", bc: "within", ca: "closes" });
  });

  test("from a node to itself closes a cycle of its own", () => {
    expect(roundsOf("ab", "bb", "bc")).toEqual({ bb: "closes" });
  });

  test("between two cycles is in neither", () => {
    expect(roundsOf("ab", "ba", "bc", "cd", "dc")).toEqual({
      ab: "within",
      ba: "closes",
      cd: "within",
      dc: "closes",
    });
  });

  test("of cycles that share nodes closes one only where the search comes back to its own path", () => {
    expect(roundsOf("ab", "bc", "cb", "ca")).toEqual({
      ab: "within",
      bc: "within",
      cb: "closes",
      ca: "closes",
    });
    expect(roundsOf("ab", "ac", "bd", "cd", "da")).toEqual({
      ab: "within",
      ac: "within",
      bd: "within",
      cd: "within",
      da: "closes",
    });
  });

  test("closes a cycle or not by the order in which the edges are given", () => {
    expect(roundsOf("ab", "bc", "cb", "ac")).toEqual({ bc: "within", cb: "closes" });
    expect(roundsOf("ac", "cb", "bc", "ab")).toEqual({ cb: "within", bc: "closes" });
  });
});

describe("of any graph", () => {
  test("every cycle has an edge that closes it", () => {
    fc.assert(
      fc.property(validCampaign(), (campaign) => {
        const rounds = edgeRounds(campaign, entriesOf(campaign)[0]?.id ?? "");
        expect(hasCycle(campaign.edges.filter(({ id }) => rounds.get(id)?.closesCycle !== true))).toBeFalse();
        expect(hasCycle(campaign.edges)).toBe(
          campaign.edges.some(({ id }) => rounds.get(id)?.withinCycle === true),
        );
      }),
    );
  });

  test("the round of what an edge leads to is the reference's", () => {
    fc.assert(
      fc.property(validCampaign(), fc.integer({ min: 1, max: 9 }), (campaign, round) => {
        const rounds = edgeRounds(campaign, entriesOf(campaign)[0]?.id ?? "");
        for (const one of campaign.edges) {
          const { withinCycle, closesCycle } = rounds.get(one.id) ?? {
            withinCycle: false,
            closesCycle: false,
          };
          expect(withinCycle ? round + Number(closesCycle) : 1).toBe(targetRound(campaign, one, round));
        }
      }),
      { numRuns: 300 },
    );
  });

  test("the largest there may be is searched", () => {
    const ids = Array.from({ length: MAX_NODES }, (_, index) => `n${index}`);
    const graph: Pick<Graph, "nodes" | "edges"> = {
      nodes: ids.map((id) => messageNode(id)),
      edges: ids.map((id, index) => edge(id, id, `n${(index + 1) % MAX_NODES}`)),
    };
    const rounds = edgeRounds(graph, "n0");
    expect([...rounds].filter(([, { closesCycle }]) => closesCycle).map(([id]) => id)).toEqual(["n199"]);
    expect([...rounds.values()].every(({ withinCycle }) => withinCycle)).toBeTrue();
  });
});

/** Takes away nodes that nothing leads to, until none is left or every node is led to. */
function hasCycle(edges: readonly Edge[]): boolean {
  let left = [...edges];
  for (;;) {
    const targets = new Set(left.map(({ to }) => to));
    const next = left.filter(({ from }) => targets.has(from));
    if (next.length === left.length) return left.length > 0;
    left = next;
  }
}
