import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { TRIGGERS } from "../../src/campaigns/graph.ts";
import type { Graph, Node, WaitNode } from "../../src/campaigns/schema.ts";
import { AGENTS, type EventType } from "../../src/events/event.ts";
import { drawnContact, edge, graphOf, messageNode, validCampaign } from "./graphs.ts";
import { advance, enrolled } from "./reference-interpreter.ts";
import { type EnrollmentState, type LoggedEvent, type ReferenceContact, runKey } from "./reference-state.ts";
import { dueSteps } from "./reference-steps.ts";

const START = new Date("2026-03-02T12:00:00Z");
const LATER = new Date("2027-01-01T00:00:00Z");
const DAY_MS = 86_400_000;

const ANN: ReferenceContact = {
  id: "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a24",
  email: "ann@example.com",
  timeZone: "Europe/Paris",
  attributes: { plan: "pro", trial: true },
  tags: ["old"],
  createdAt: START,
  updatedAt: START,
};

const CAMPAIGN_ID = "019a2f4e-0000-7b32-9d0a-5e8f3c6b1a24";

function begun(graph: Graph, contact = ANN): EnrollmentState {
  return enrolled(graph, { campaignId: CAMPAIGN_ID, contact, at: START });
}

/** `hello/2 email_opened` is an event of the second round; without a round it is of the first. */
function event(text: string, more: Partial<LoggedEvent> = {}): LoggedEvent {
  const [, nodeId = "", round = "1", type = ""] = /^(\w+)(?:\/(\d+))? (\w+)$/.exec(text) ?? [];
  const types = Object.values(TRIGGERS).flatMap((triggers) => Object.values(triggers).flat());
  const known = types.find((one) => one === type);
  if (known === undefined) throw new Error(`no event: ${text}`);
  return { nodeId, round: Number(round), type: known, at: START, agent: null, data: {}, ...more };
}

function after(graph: Graph, ...events: (string | LoggedEvent)[]): EnrollmentState {
  return events.reduce(
    (state: EnrollmentState, one) => advance(graph, state, typeof one === "string" ? event(one) : one),
    begun(graph),
  );
}

/** Lets the workers look, and the log have what they say. */
function looked(graph: Graph, before: EnrollmentState, at = LATER): EnrollmentState {
  const { state, events } = dueSteps(graph, before, at);
  return events.reduce((now, one) => advance(graph, now, one), state);
}

function statuses({ runs }: EnrollmentState): { [key: string]: string } {
  return Object.fromEntries([...runs].map(([key, { status }]) => [key, status]));
}

const pause: Node = { id: "pause", type: "wait", duration: "P2D" };
const end: Node = { id: "end", type: "exit" };

describe("one enrollment", () => {
  /** hello ─opened→ pause → again, hello ─unsubscribed→ end */
  const graph = graphOf(
    [messageNode("hello"), pause, messageNode("again"), end],
    [
      edge("e1", "hello", "pause", "opened"),
      edge("e2", "pause", "again"),
      edge("e3", "hello", "end", "unsubscribed"),
      edge("e4", "hello", "pause", "clicked"),
    ],
  );
  const hit = (text: string) => event(text, { agent: "human" });

  test("begins with the entry", () => {
    expect(statuses(after(graph))).toEqual({ "hello/1": "running" });
    const exit = begun(graphOf([end], []));
    expect([exit.active, exit.reason, statuses(exit)]).toEqual([false, "exit", { "end/1": "completed" }]);
  });

  test("goes where its contact leads it, and ends nowhere without an exit", () => {
    const state = after(
      graph,
      "hello message_sent",
      hit("hello email_opened"),
      "pause run_completed",
      "again message_failed",
    );
    expect(statuses(state)).toEqual({ "hello/1": "completed", "pause/1": "completed", "again/1": "failed" });
    expect([...state.fired]).toEqual(["e1/1", "e2/1"]);
    expect([state.active, state.reason]).toEqual([true, null]);
  });

  test("runs a node once though two edges lead to it", () => {
    const state = after(
      graph,
      hit("hello email_opened"),
      "pause run_completed",
      hit("hello email_clicked"),
      hit("hello email_clicked"),
    );
    expect([...state.fired]).toEqual(["e1/1", "e2/1", "e4/1"]);
    expect(statuses(state)).toMatchObject({ "pause/1": "completed", "again/1": "running" });
  });

  test("is not moved by a scanner, unless its campaign counts all", () => {
    const scan = event("hello email_opened", { agent: "scanner" });
    expect(after(graph, scan)).toMatchObject({ fired: new Set(), runs: begun(graph).runs });
    expect(after({ ...graph, countAutomaticHits: true }, scan).fired).toEqual(new Set(["e1/1"]));
  });

  test("fires nothing after its exit, and what is unfinished is cancelled", () => {
    const state = after(
      graph,
      "hello message_sent",
      hit("hello email_clicked"),
      hit("hello unsubscribed"),
      hit("hello email_opened"),
      "pause run_completed",
    );
    expect(statuses(state)).toEqual({
      "hello/1": "completed",
      "pause/1": "cancelled",
      "end/1": "completed",
    });
    expect([state.active, state.reason, [...state.fired]]).toEqual([false, "exit", ["e4/1", "e3/1"]]);
    expect(state.runs.get("hello/1")?.output).toMatchObject({ opened: true, unsubscribed: true });
  });

  test("keeps what a run gave first", () => {
    const [first, second] = ["https://a.example/", "https://b.example/"].map((clickedUrl, days) =>
      event("hello email_clicked", { at: new Date(START.getTime() + days * DAY_MS), data: { clickedUrl } }),
    );
    if (first === undefined || second === undefined) throw new Error("no clicks");
    expect(after(graph, first, second).runs.get("hello/1")?.output).toEqual({
      clicked: true,
      clickedAt: START.toISOString(),
      clickedUrl: "https://a.example/",
    });
  });
});

describe("what is sent, answered and done", () => {
  test("fires the edges of its kind", () => {
    const hook: Node = {
      ...{ id: "hook", type: "webhook", url: "https://example.com/", method: "POST", headers: {} },
      ...{ body: null, timeoutSeconds: 10, output: {} },
    };
    const triggers = ["delivered", "bounced", "complained", "replied", "sent", "failed", "always"] as const;
    const graph = graphOf(
      [messageNode("hello"), hook],
      [
        ...triggers.map((firesWhen) => edge(firesWhen, "hello", "hook", firesWhen)),
        ...(["sent", "failed", "always"] as const).map((when) => edge(`hook-${when}`, "hook", "hello", when)),
      ],
    );
    const fired = (...events: string[]) => [...after(graph, ...events).fired].map((key) => key.split("/")[0]);
    expect(fired("hello message_delivered")).toEqual(["delivered"]);
    expect(fired("hello message_bounced")).toEqual(["bounced"]);
    expect(fired("hello message_complained")).toEqual(["complained"]);
    expect(fired("hello message_received")).toEqual(["replied"]);
    expect(fired("hello message_sent")).toEqual(["sent", "always"]);
    expect(fired("hello message_failed")).toEqual(["failed", "always"]);
    expect(fired("hello message_uncertain")).toEqual(["always"]);
    expect(fired("hello message_delivered", "hook run_completed")).toEqual([
      "delivered",
      "hook-sent",
      "hook-always",
    ]);
    expect(fired("hello message_delivered", "hook run_failed")).toEqual([
      "delivered",
      "hook-failed",
      "hook-always",
    ]);
  });
});

describe("rounds", () => {
  /** hello → pause → hello …, pause → aside */
  const graph = graphOf(
    [messageNode("hello"), pause, messageNode("aside")],
    [edge("e1", "hello", "pause"), edge("e2", "pause", "hello"), edge("e3", "pause", "aside")],
    { maxRounds: 2 },
  );

  test("begin where an edge closes a cycle; what is outside of it runs once", () => {
    const state = after(graph, "hello message_sent", "pause run_completed", "hello/2 message_sent");
    expect(statuses(state)).toEqual({
      "hello/1": "completed",
      "pause/1": "completed",
      "hello/2": "completed",
      "aside/1": "running",
      "pause/2": "waiting",
    });
    expect([...state.fired]).toEqual(["e1/1", "e2/2", "e3/1", "e1/2"]);
  });

  test("end with the one that would be too many, and complete the enrollment", () => {
    const state = after(
      graph,
      "hello message_sent",
      "pause run_completed",
      "hello/2 message_sent",
      "pause/2 run_completed",
    );
    expect([state.active, state.reason]).toEqual([false, "round_limit"]);
    expect(statuses(state)).toMatchObject({ "aside/1": "cancelled", "pause/2": "completed" });
    expect(state.fired.has("e2/3")).toBeFalse();
  });

  test("of a node that leads to itself are each a run of it", () => {
    const loop = graphOf([pause], [edge("e1", "pause", "pause")], { maxRounds: 3 });
    const state = after(loop, "pause run_completed", "pause/2 run_completed", "pause/3 run_completed");
    expect([...state.runs.keys()]).toEqual(["pause/1", "pause/2", "pause/3"]);
    expect(state.reason).toBe("round_limit");
  });
});

describe("what does not happen in time", () => {
  const graph = graphOf(
    [messageNode("hello"), messageNode("reminder"), messageNode("thanks"), messageNode("last")],
    [
      edge("not1", "hello", "reminder", "notOpened", null, { within: "P1D" }),
      edge("not2", "hello", "last", "notOpened", null, { within: "P2D" }),
      edge("opened", "hello", "thanks", "opened"),
      edge("clicked", "hello", "thanks", "clicked"),
      edge("noReply", "hello", "last", "notReplied", null, { within: "P1M" }),
    ],
  );
  const elapsed = (edgeId: string) => event("hello timer_elapsed", { data: { edgeId } });

  test("has a timer from when it was sent, or perhaps was, and from the first of these", () => {
    const due = {
      "hello/1/not1": new Date("2026-03-03T12:00:00Z"),
      "hello/1/not2": new Date("2026-03-04T12:00:00Z"),
      "hello/1/noReply": new Date("2026-04-02T12:00:00Z"),
    };
    const uncertain = after(graph, "hello message_uncertain", event("hello message_sent", { at: LATER }));
    expect(Object.fromEntries(uncertain.timers)).toEqual(due);
    expect(Object.fromEntries(after(graph, "hello message_sent").timers)).toEqual(due);
    expect(after(graph, "hello message_failed").timers.size).toBe(0);
    expect(after(graph, "hello contact_suppressed").timers.size).toBe(0);
  });

  test("loses its timers once it happens, and has none when it happened before", () => {
    const opened = after(graph, "hello message_sent", "hello email_opened");
    expect([...opened.timers.keys()]).toEqual(["hello/1/noReply"]);
    const before = after(graph, "hello email_opened", "hello message_sent");
    expect([...before.timers.keys()]).toEqual(["hello/1/noReply"]);
  });

  test("fires one of both, whichever the log has first", () => {
    const late = after(graph, "hello message_sent", elapsed("not1"), "hello email_opened");
    expect([...late.fired]).toEqual(["not1/1"]);
    expect(late.runs.get("hello/1")?.output).toMatchObject({ opened: true });
    const early = after(graph, "hello message_sent", "hello email_opened", elapsed("not1"));
    expect([...early.fired]).toEqual(["opened/1"]);
  });

  test("leaves edges of another kind alone, and fires each longer time in its turn", () => {
    const state = after(
      graph,
      "hello message_sent",
      elapsed("not1"),
      elapsed("not2"),
      event("hello email_clicked"),
    );
    expect([...state.fired]).toEqual(["not1/1", "not2/1", "clicked/1"]);
    const opened = after(graph, "hello message_sent", elapsed("not1"), "hello email_opened", elapsed("not2"));
    expect([...opened.fired]).toEqual(["not1/1"]);
  });

  test("is found by the workers when it is due, and not before", () => {
    const sent = after(graph, "hello message_sent");
    const at = new Date("2026-03-03T12:00:00Z");
    expect(dueSteps(graph, sent, new Date(at.getTime() - 1)).events).toEqual([]);
    expect(dueSteps(graph, sent, at).events).toEqual([{ ...elapsed("not1"), at }]);
    expect([...looked(graph, sent, at).timers.keys()]).toEqual(["hello/1/not2", "hello/1/noReply"]);
  });
});

describe("a reply or an unsubscribe", () => {
  const graph = graphOf(
    [messageNode("hello"), pause, messageNode("answer")],
    [edge("e1", "hello", "pause", "sent"), edge("e2", "hello", "answer", "always")],
    { exitOn: ["replied", "unsubscribed"] },
  );

  test.each([
    { type: "message_received", reason: "replied" },
    { type: "unsubscribed", reason: "unsubscribed" },
  ] as const)("completes the enrollment of a campaign that exits on it: $type", ({ type, reason }) => {
    const state = after(graph, "hello message_sent", `hello ${type}`);
    expect([state.active, state.reason]).toEqual([false, reason]);
    expect(statuses(state)).toEqual({
      "hello/1": "completed",
      "pause/1": "cancelled",
      "answer/1": "cancelled",
    });
  });
});

describe("steps", () => {
  const graph = graphOf(
    [
      { id: "isPro", type: "condition", if: { attribute: "plan", is: "equals", value: "pro" } },
      {
        ...{ id: "mark", type: "update-contact", unset: ["trial"], addTags: ["new"], removeTags: ["old"] },
        set: {
          score: 7,
          found: { node: "isPro", output: "result" },
          none: { node: "isPro", output: "variant" },
        },
      },
      { id: "ab", type: "split", variants: ["a", "b"].map((id) => ({ id, weight: 1 })) },
    ],
    [
      edge("yes", "isPro", "mark", "true"),
      edge("no", "isPro", "ab", "false"),
      edge("then", "mark", "ab"),
      edge("a", "ab", "ab", "variant", null, { variant: "a" }),
      edge("b", "ab", "ab", "variant", null, { variant: "b" }),
    ],
    { maxRounds: 3 },
  );

  test("are done when the workers look, one after the other", () => {
    const asked = looked(graph, begun(graph), START);
    expect(asked.runs.get("isPro/1")).toMatchObject({ status: "completed", output: { result: true } });
    const marked = looked(graph, asked, START);
    expect(marked.contact).toMatchObject({
      attributes: { plan: "pro", score: 7, found: true },
      tags: ["new"],
    });
    expect(marked.runs.get("ab/1")).toMatchObject({ status: "waiting", dueAt: START });
  });

  test("give the same contact the same variant in every round", () => {
    let state = begun(graph);
    for (let look = 0; look < 5; look++) state = looked(graph, state, START);
    const chosen = [1, 2, 3].map((round) => state.runs.get(runKey("ab", round))?.output.variant);
    // The md5 of "<contact>:<campaign>:ab" begins with 806103ed: odd, and each variant has the weight 1.
    expect(chosen).toEqual(["b", "b", "b"]);
    expect(state.reason).toBe("round_limit");
  });
});

const waits: [wait: Omit<WaitNode, "id" | "type">, ends: string][] = [
  [{ duration: "P1M" }, "2026-04-02T12:00:00.000Z"],
  [{ until: "2026-12-24T09:00" }, "2026-12-24T08:00:00.000Z"],
  [{ until: "2026-12-24T09:00-05:00" }, "2026-12-24T14:00:00.000Z"],
  [{ at: { time: "13:00", weekdays: ["mon"] } }, "2026-03-09T12:00:00.000Z"],
  [{ at: { time: "13:01", weekdays: ["mon"] } }, "2026-03-02T12:01:00.000Z"],
  // The clocks of Paris skip 02:30 that night, and show it twice in October.
  [{ until: "2026-03-29T02:30" }, "2026-03-29T01:30:00.000Z"],
  [{ until: "2026-10-25T02:30" }, "2026-10-25T01:30:00.000Z"],
];

test.each(waits)("a wait %j ends by the contact's own clock", (wait, ends) => {
  const state = begun(graphOf([{ id: "pause", type: "wait", ...wait }], []));
  expect(state.runs.get("pause/1")?.dueAt).toEqual(new Date(ends));
});

test("is the same when everything is told twice, and every run but the entry's began by a fired edge", () => {
  fc.assert(
    fc.property(
      validCampaign(),
      drawnContact,
      fc.array(drawnEvent, { maxLength: 40 }),
      (campaign, of, drawn) => {
        // Told twice, it happened twice, and some ask how often.
        fc.pre(!JSON.stringify(campaign.nodes).includes('"atLeast":2'));
        const once = play(campaign, { ...ANN, ...of }, drawn, 1);
        const twice = play(campaign, { ...ANN, ...of }, drawn, 2);
        expect({ ...twice, activity: [] }).toEqual({ ...once, activity: [] });
        const targets = [...once.fired].map((key) => {
          const [edgeId, round] = key.split("/");
          return runKey(campaign.edges.find(({ id }) => id === edgeId)?.to ?? "", Number(round));
        });
        const entry = [...begun(campaign).runs.keys()];
        expect(new Set([...targets, ...entry])).toEqual(new Set(once.runs.keys()));
        expect(once.active).toBe(once.reason === null);
        if (!once.active) expect([...once.timers, ...openRuns(once)]).toEqual([]);
      },
    ),
    { numRuns: 300 },
  );
});

const drawnEvent = fc.record({
  pick: fc.nat(),
  type: fc.nat(),
  agent: fc.constantFrom(null, ...AGENTS),
  clickedUrl: fc.constantFrom("https://example.com/buy", "https://elsewhere.example/"),
  looks: fc.boolean(),
});

type Drawn = typeof drawnEvent extends fc.Arbitrary<infer T> ? T : never;

function play(graph: Graph, contact: ReferenceContact, drawn: readonly Drawn[], times: number) {
  let state = begun(graph, contact);
  for (const { pick, type, agent, clickedUrl, looks } of drawn) {
    if (looks) state = looked(graph, state);
    const runs = [...state.runs.values()].filter(({ node }) => node.type === "message");
    const run = runs[pick % runs.length];
    if (run === undefined) continue;
    const types: EventType[] = Object.values(TRIGGERS.message)
      .flat()
      .filter((one) => one !== "timer_elapsed");
    const chosen = types[type % types.length] ?? "message_sent";
    const one = {
      nodeId: run.node.id,
      round: run.round,
      type: chosen,
      at: START,
      agent,
      data: { clickedUrl },
    };
    for (let time = 0; time < times; time++) state = advance(graph, state, one);
  }
  return state;
}

function openRuns({ runs }: EnrollmentState) {
  return [...runs.values()].filter(({ status }) => status === "running" || status === "waiting");
}
