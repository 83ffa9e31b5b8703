import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CREDENTIAL_ID, edge, messageNode, validCampaign } from "../../test/support/graphs.ts";
import { EVENT_TYPES, type EventType } from "../events/event.ts";
import { compileGraph, entriesOf, TRIGGERS } from "./graph.ts";
import { type FiresWhen, NODE_TYPES, type NodeType } from "./schema.ts";

/** Which edges of a node an event of its run fires, as far as types tell. */
function firedAt(node: NodeType, type: EventType): string[] {
  return Object.entries(TRIGGERS[node]).flatMap(([firesWhen, types]) =>
    types.includes(type) ? [firesWhen] : [],
  );
}

describe("an edge", () => {
  test("fires when its message is done, and as it went", () => {
    expect(firedAt("message", "message_sent")).toEqual(["always", "sent"]);
    expect(firedAt("message", "message_failed")).toEqual(["always", "failed"]);
  });

  test("neither says sent nor failed where nobody knows, or nothing was tried", () => {
    expect(firedAt("message", "message_uncertain")).toEqual(["always"]);
    expect(firedAt("message", "contact_suppressed")).toEqual(["always"]);
  });

  test("fires for what becomes of a message later", () => {
    const later = ["message_delivered", "message_bounced", "message_complained", "message_received"] as const;
    expect(later.map((type) => firedAt("message", type))).toEqual([
      ["delivered"],
      ["bounced"],
      ["complained"],
      ["replied"],
    ]);
    expect(firedAt("message", "message_rejected")).toEqual(["failed"]);
    expect(firedAt("message", "timer_elapsed")).toEqual(["notOpened", "notClicked", "notReplied"]);
  });

  test("of a step fires when the step is done, as it was found, chosen or answered", () => {
    expect(firedAt("wait", "run_completed")).toEqual(["always"]);
    expect(firedAt("update-contact", "run_completed")).toEqual(["always"]);
    expect(firedAt("condition", "run_completed")).toEqual(["always", "true", "false"]);
    expect(firedAt("split", "run_completed")).toEqual(["always", "variant"]);
    expect(firedAt("webhook", "run_completed")).toEqual(["always", "sent"]);
    expect(firedAt("webhook", "run_failed")).toEqual(["always", "failed"]);
  });

  test("never leaves an exit, and no event of a message fires those of a step", () => {
    expect(EVENT_TYPES.flatMap((type) => firedAt("exit", type))).toEqual([]);
    const atSteps = NODE_TYPES.filter((type) => type !== "message").flatMap((type) =>
      Object.values(TRIGGERS[type]).flat(),
    );
    expect([...new Set(atSteps)].sort()).toEqual(["run_completed", "run_failed"]);
  });
});

describe("the entry", () => {
  const nodes = [messageNode("a"), messageNode("b")];

  test("is the node that no edge leads to, from itself aside", () => {
    const edges = [edge("e1", "b", "a"), edge("e2", "b", "b")];
    expect(entriesOf({ nodes, edges }).map(({ id }) => id)).toEqual(["b"]);
  });

  test("is the first node when edges lead to every one", () => {
    const edges = [edge("e1", "b", "a"), edge("e2", "a", "b")];
    expect(entriesOf({ nodes, edges }).map(({ id }) => id)).toEqual(["a"]);
    expect(compileGraph({ nodes, edges }).nodes.map(({ isEntry }) => isEntry)).toEqual([true, false]);
  });
});

describe("a compiled graph", () => {
  test("has a row of each node with what its table asks of its type", () => {
    const { nodes } = compileGraph({
      nodes: [
        messageNode("hello", { subject: "Hi", html: "<p>Hi</p>", position: { x: 1, y: 2 } }),
        { id: "pause", type: "wait", duration: "P2D" },
        { id: "eve", type: "wait", until: "2026-12-24T09:00" },
        { id: "end", type: "exit" },
      ],
      edges: [edge("e1", "hello", "pause"), edge("e2", "pause", "eve"), edge("e3", "eve", "end")],
    });
    const step = { isEntry: false, credentialId: null, wait: null };
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
          format: "html",
          html: "<p>Hi</p>",
          text: null,
          unsubscribeLink: true,
          trackOpens: true,
          trackClicks: true,
        },
      },
      { ...step, nodeId: "pause", type: "wait", wait: "P2D", settings: { duration: "P2D" } },
      { ...step, nodeId: "eve", type: "wait", settings: { until: "2026-12-24T09:00" } },
      { ...step, nodeId: "end", type: "exit", settings: {} },
    ]);
  });

  test("has a row of each edge with the events of its node that fire it", () => {
    const more = { url: null, within: null, variant: null, kind: null, isNegative: false };
    const around = { withinCycle: false, closesCycle: false };
    const { edges } = compileGraph({
      nodes: [
        messageNode("hello"),
        { id: "ab", type: "split", variants: ["a", "b"].map((id) => ({ id, weight: 1 })) },
      ],
      edges: [
        edge("e1", "hello", "ab", "clicked", "https://example.com/buy"),
        edge("e2", "hello", "ab", "notReplied", null, { within: "P3D" }),
        edge("e3", "ab", "ab", "variant", null, { variant: "a" }),
      ],
    });
    expect(edges).toEqual([
      {
        ...{ ...more, ...around, edgeId: "e1", fromNode: "hello", toNode: "ab", firesWhen: "clicked" },
        ...{ eventTypes: ["email_clicked"], url: "https://example.com/buy", kind: "clicked" },
      },
      {
        ...{ ...more, ...around, edgeId: "e2", fromNode: "hello", toNode: "ab", firesWhen: "notReplied" },
        ...{ eventTypes: ["timer_elapsed"], within: "P3D", kind: "replied", isNegative: true },
      },
      {
        ...{ ...more, edgeId: "e3", fromNode: "ab", toNode: "ab", firesWhen: "variant" },
        ...{ eventTypes: ["run_completed"], variant: "a", withinCycle: true, closesCycle: true },
      },
    ]);
  });

  test("keeps every edge with at least one event that fires it, and has exactly one entry", () => {
    fc.assert(
      fc.property(validCampaign(), (campaign) => {
        const { nodes, edges } = compileGraph(campaign);
        expect(edges.map(({ edgeId, fromNode, toNode }) => [edgeId, fromNode, toNode])).toEqual(
          campaign.edges.map(({ id, from, to }) => [id, from, to]),
        );
        expect(edges.filter(({ eventTypes }) => eventTypes.length === 0)).toEqual([]);
        const opposites: FiresWhen[] = [
          "opened",
          "clicked",
          "replied",
          "notOpened",
          "notClicked",
          "notReplied",
        ];
        expect(edges.filter(({ kind }) => kind !== null).map(({ edgeId }) => edgeId)).toEqual(
          campaign.edges.filter(({ firesWhen }) => opposites.includes(firesWhen)).map(({ id }) => id),
        );
        expect(edges.every(({ isNegative, within }) => isNegative === (within !== null))).toBeTrue();
        expect(nodes.map(({ nodeId }) => nodeId)).toEqual(campaign.nodes.map(({ id }) => id));
        expect(nodes.filter(({ isEntry }) => isEntry)).toHaveLength(1);
      }),
    );
  });
});
