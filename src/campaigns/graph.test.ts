import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CREDENTIAL_ID, edge, messageNode, validCampaign } from "../../test/support/graphs.ts";
import { AGENTS, EVENT_TYPES } from "../events/event.ts";
import { compileGraph, countsForEdges, EVENTS_OF, edgesFiredBy, TRIGGERS } from "./graph.ts";
import { FIRES_WHEN, type Graph } from "./schema.ts";

const BUY = "https://example.com/buy";
const NONE = new Set<string>();

/** From "hello", one edge for each trigger, and one for a certain link. */
const GRAPH: Graph = {
  nodes: [messageNode("hello"), { id: "end", type: "exit" }],
  edges: [
    ...FIRES_WHEN.map((firesWhen) => edge(firesWhen, "hello", "end", firesWhen)),
    edge("buys", "hello", "end", "clicked", BUY),
  ],
  countAutomaticHits: false,
};

function fired(
  event: Partial<Parameters<typeof edgesFiredBy>[2]>,
  alreadyFired = NONE,
  graph = GRAPH,
): string[] {
  const whole = { type: "email_opened" as const, agent: null, clickedUrl: null, ...event };
  return edgesFiredBy(graph, "hello", whole, alreadyFired).map(({ id }) => id);
}

describe("an edge", () => {
  test("fires when its node is done, and as it went", () => {
    expect(fired({ type: "message_sent" })).toEqual(["always", "sent"]);
    expect(fired({ type: "message_failed" })).toEqual(["always", "failed"]);
    expect(fired({ type: "run_completed" })).toEqual(["always"]);
  });

  test("neither says sent nor failed where nobody knows, or nothing was tried", () => {
    expect(fired({ type: "message_uncertain" })).toEqual(["always"]);
    expect(fired({ type: "contact_suppressed" })).toEqual(["always"]);
  });

  test("fires for a person's hit and an image proxy's, not for a machine's", () => {
    expect(AGENTS.map((agent) => fired({ agent }))).toEqual([["opened"], ["opened"], [], []]);
  });

  test("fires for machines where the campaign counts them", () => {
    const graph = { ...GRAPH, countAutomaticHits: true };
    expect(AGENTS.map((agent) => fired({ agent }, NONE, graph))).toEqual(Array(4).fill(["opened"]));
    expect(AGENTS.map((agent) => countsForEdges(agent, true))).toEqual([true, true, true, true]);
  });

  test("that names a link fires for that link alone, as it is written", () => {
    const click = { type: "email_clicked", agent: "human" } as const;
    expect(fired({ ...click, clickedUrl: BUY })).toEqual(["clicked", "buys"]);
    expect(fired({ ...click, clickedUrl: `${BUY}/` })).toEqual(["clicked"]);
  });

  test("fires once", () => {
    expect(fired({ agent: "human" }, new Set(["opened"]))).toEqual([]);
    expect(fired({ type: "unsubscribed" }, new Set(["opened"]))).toEqual(["unsubscribed"]);
  });

  test("does not fire for another node", () => {
    const event = { type: "run_completed", agent: null, clickedUrl: null } as const;
    expect(edgesFiredBy(GRAPH, "end", event, NONE)).toEqual([]);
  });

  test("is fired only by events that its node can meet", () => {
    const triggering = new Set(FIRES_WHEN.flatMap((firesWhen) => TRIGGERS[firesWhen]));
    const met = new Set(Object.values(EVENTS_OF).flat());
    expect(EVENT_TYPES.filter((type) => triggering.has(type))).toEqual(
      EVENT_TYPES.filter((type) => met.has(type)),
    );
  });
});

describe("a compiled graph", () => {
  test("has a row of each node with what its table asks of its type", () => {
    const { nodes } = compileGraph({
      nodes: [
        messageNode("hello", { subject: "Hi", html: "<p>Hi</p>", position: { x: 1, y: 2 } }),
        { id: "pause", type: "wait", duration: "P2D" },
        { id: "end", type: "exit" },
      ],
      edges: [edge("e1", "hello", "pause"), edge("e2", "pause", "end")],
    });
    expect(nodes).toEqual([
      {
        nodeId: "hello",
        type: "message",
        isEntry: true,
        credentialId: CREDENTIAL_ID,
        wait: null,
        settings: {
          channel: "email",
          credentialId: CREDENTIAL_ID,
          from: null,
          replyTo: null,
          subject: "Hi",
          html: "<p>Hi</p>",
          text: null,
          unsubscribeLink: true,
          trackOpens: true,
          trackClicks: true,
        },
      },
      {
        nodeId: "pause",
        type: "wait",
        isEntry: false,
        credentialId: null,
        wait: "P2D",
        settings: { duration: "P2D" },
      },
      { nodeId: "end", type: "exit", isEntry: false, credentialId: null, wait: null, settings: {} },
    ]);
  });

  test("keeps every edge with the events that fire it, and has exactly one entry", () => {
    fc.assert(
      fc.property(validCampaign(), (campaign) => {
        const { nodes, edges } = compileGraph(campaign);
        const targets = campaign.edges.map(({ to }) => to);
        expect(edges).toEqual(
          campaign.edges.map(({ id, from, to, firesWhen, url }) => ({
            edgeId: id,
            fromNode: from,
            toNode: to,
            eventTypes: TRIGGERS[firesWhen],
            url,
          })),
        );
        expect(nodes.map(({ nodeId }) => nodeId)).toEqual(campaign.nodes.map(({ id }) => id));
        expect(nodes.filter(({ isEntry }) => isEntry)).toHaveLength(1);
        expect(nodes.filter(({ isEntry, nodeId }) => isEntry === targets.includes(nodeId))).toEqual([]);
      }),
    );
  });
});
