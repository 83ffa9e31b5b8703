import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { TRIGGERS } from "../../src/campaigns/graph.ts";
import { FIRES_WHEN, type Graph } from "../../src/campaigns/schema.ts";
import { AGENTS } from "../../src/events/event.ts";
import { edge, messageNode, validCampaign } from "./graphs.ts";
import { type AddressedEvent, advance, enrolled } from "./reference-interpreter.ts";

/** hello ─opened→ pause → again, hello ─unsubscribed→ end */
const GRAPH: Graph = {
  nodes: [
    messageNode("hello"),
    { id: "pause", type: "wait", duration: "P2D" },
    messageNode("again"),
    { id: "end", type: "exit" },
  ],
  edges: [
    edge("e1", "hello", "pause", "opened"),
    edge("e2", "pause", "again"),
    edge("e3", "hello", "end", "unsubscribed"),
    edge("e4", "hello", "pause", "clicked"),
  ],
  countAutomaticHits: false,
};

function event(
  nodeId: string,
  type: AddressedEvent["type"],
  agent: AddressedEvent["agent"] = null,
): AddressedEvent {
  return { nodeId, type, agent, clickedUrl: null };
}

function after(events: AddressedEvent[], graph = GRAPH) {
  return events.reduce((state, one) => advance(graph, state, one), enrolled(graph));
}

describe("one enrollment", () => {
  test("begins with the entry", () => {
    expect(after([])).toEqual({
      active: true,
      runs: new Map([["hello", "running"]]),
      fired: new Set(),
      messagesQueued: ["hello"],
    });
  });

  test("goes where its contact leads it, and ends nowhere without an exit", () => {
    const state = after([
      event("hello", "message_sent"),
      event("hello", "email_opened", "human"),
      event("pause", "run_completed"),
      event("again", "message_failed"),
    ]);
    expect(state).toEqual({
      active: true,
      runs: new Map([
        ["hello", "completed"],
        ["pause", "completed"],
        ["again", "failed"],
      ] as const),
      fired: new Set(["e1", "e2"]),
      messagesQueued: ["hello", "again"],
    });
  });

  test("runs a node once though two edges lead to it", () => {
    const state = after([
      event("hello", "email_opened", "human"),
      event("pause", "run_completed"),
      event("hello", "email_clicked", "human"),
    ]);
    expect(state.fired).toEqual(new Set(["e1", "e2", "e4"]));
    expect(state.runs.get("pause")).toBe("completed");
    expect(state.messagesQueued).toEqual(["hello", "again"]);
  });

  test("is not moved by a scanner", () => {
    expect(after([event("hello", "email_opened", "scanner")])).toEqual(after([]));
  });

  test("fires nothing after its exit, and what is unfinished is cancelled", () => {
    const state = after([
      event("hello", "message_sent"),
      event("hello", "email_clicked", "human"),
      event("hello", "unsubscribed", "human"),
      event("hello", "email_opened", "human"),
      event("pause", "run_completed"),
    ]);
    expect(state).toEqual({
      active: false,
      runs: new Map([
        ["hello", "completed"],
        ["pause", "cancelled"],
        ["end", "completed"],
      ] as const),
      fired: new Set(["e4", "e3"]),
      messagesQueued: ["hello"],
    });
  });

  test("is the same when everything is told twice, and every run but the entry's began by a fired edge", () => {
    fc.assert(
      fc.property(validCampaign(), fc.array(drawnEvent, { maxLength: 30 }), (campaign, drawn) => {
        const events = drawn.map(({ pick, ...one }) => ({
          ...one,
          nodeId: campaign.nodes[pick % campaign.nodes.length]?.id ?? "",
        }));
        const once = after(events, campaign);
        expect(
          after(
            events.flatMap((one) => [one, one]),
            campaign,
          ),
        ).toEqual(once);
        const targets = campaign.edges.filter(({ id }) => once.fired.has(id)).map(({ to }) => to);
        expect(new Set([...targets, ...enrolled(campaign).runs.keys()])).toEqual(new Set(once.runs.keys()));
      }),
    );
  });
});

const drawnEvent = fc.record({
  pick: fc.nat(),
  type: fc.constantFrom(...FIRES_WHEN.flatMap((firesWhen) => TRIGGERS[firesWhen])),
  agent: fc.constantFrom(null, ...AGENTS),
  clickedUrl: fc.constantFrom(null, "https://example.com/buy"),
});
