import { describe, expect, test } from "bun:test";
import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import { edge } from "../../test/support/graphs.ts";
import { conditionNode, splitNode, updateContactNode, waitNode, webhookNode } from "./node-schema.ts";
import { campaignInput, FIRES_WHEN, MAX_EDGES, MAX_NODES } from "./schema.ts";
import { validateCampaign } from "./validate.ts";

const MESSAGE = {
  id: "hello",
  type: "message",
  channel: "email",
  credentialId: "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a24",
  subject: "Hi",
  html: "<p>Hi</p>",
};
const EDGE = { id: "e1", from: "hello", to: "end", firesWhen: "always" };

/** Why the one node or edge is refused, as "field: reason". */
function refused(part: { node?: unknown; edge?: unknown }): string[] {
  const result = campaignInput.safeParse({
    name: "Welcome",
    nodes: ["node" in part ? part.node : MESSAGE],
    edges: ["edge" in part ? part.edge : EDGE],
  });
  return result.success
    ? []
    : result.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
}

describe("the campaign schema", () => {
  test("fills in what was left out", () => {
    const campaign = campaignInput.parse({ name: "Welcome", nodes: [MESSAGE], edges: [EDGE] });
    expect(campaign).toEqual({
      name: "Welcome",
      nodes: [
        {
          id: "hello",
          type: "message",
          channel: "email",
          credentialId: MESSAGE.credentialId,
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
      ],
      edges: [edge("e1", "hello", "end")],
      countAutomaticHits: false,
      maxRounds: 10,
      exitOn: [],
      reenrollAfter: null,
      timeZone: "UTC",
      quietHours: null,
      ignoreFrequencyCap: false,
      topicId: null,
    });
  });

  test("fills in what was left out of every other type of node", () => {
    const nodes = [
      { id: "nine", type: "wait", at: { time: "09:00" } },
      { id: "mark", type: "update-contact" },
      { id: "hook", type: "webhook", url: "https://example.com/" },
    ];
    expect(campaignInput.parse({ name: "Welcome", nodes, edges: [] }).nodes).toEqual([
      {
        id: "nine",
        type: "wait",
        at: { time: "09:00", weekdays: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] },
      },
      { id: "mark", type: "update-contact", set: {}, unset: [], addTags: [], removeTags: [] },
      {
        id: "hook",
        type: "webhook",
        url: "https://example.com/",
        method: "POST",
        headers: {},
        body: null,
        timeoutSeconds: 10,
        output: {},
      },
    ]);
  });

  test("takes a sender of the node's own and its place in an editor", () => {
    const node = {
      ...MESSAGE,
      from: { email: "ann@example.com" },
      replyTo: "help@example.com",
      position: { x: -1.5, y: 2 },
    };
    expect(campaignInput.parse({ name: "Welcome", nodes: [node], edges: [] }).nodes[0]).toMatchObject({
      from: { email: "ann@example.com", name: null },
      replyTo: "help@example.com",
      position: { x: -1.5, y: 2 },
    });
  });

  test("says which node types and triggers there are", () => {
    const types = "message, wait, condition, split, update-contact, webhook, exit";
    expect(refused({ node: { id: "c", type: "branch" } })).toEqual([
      `nodes.0.type: must be one of ${types}, not "branch"`,
    ]);
    expect(refused({ node: { id: "c" } })).toEqual([`nodes.0.type: must be one of ${types}`]);
    expect(refused({ node: [] })).toEqual(["nodes.0: must be a node, an object"]);
    expect(refused({ edge: { ...EDGE, firesWhen: "ignored" } })).toEqual([
      `edges.0.firesWhen: must be one of ${FIRES_WHEN.join(", ")}, not "ignored"`,
    ]);
    expect(refused({ node: { ...MESSAGE, channel: "sms" } })).toEqual([
      'nodes.0.channel: must be "email" or "telegram"',
    ]);
  });

  test("never repeats more than the beginning of what it refuses", () => {
    const [reason] = refused({ node: { id: "c", type: "x".repeat(100_000) } });
    expect(reason?.length).toBeLessThan(160);
  });

  test.each([
    { node: { ...MESSAGE, within: "P3D" } },
    { node: { id: "end", type: "exit", duration: "P1D" } },
    { node: { ...MESSAGE, from: { email: "ann@example.com", phone: "1" } } },
    { node: { ...MESSAGE, position: { x: 1, y: 2, z: 3 } } },
    { edge: { ...EDGE, after: "P3D" } },
    {
      edge: JSON.parse('{"id":"e1","from":"hello","to":"end","firesWhen":"always","__proto__":{"url":"x"}}'),
    },
  ])("refuses fields it does not know: %j", (part) => {
    expect(refused(part)).toHaveLength(1);
    expect(refused(part)[0]).toContain("Unrecognized key");
  });

  test.each(["", "a b", "é", "a".repeat(65), "a.b", "a\n", 7, null])("refuses the id %j", (id) => {
    expect(refused({ node: { ...MESSAGE, id } })[0]).toStartWith("nodes.0.id: ");
    expect(refused({ edge: { ...EDGE, id } })[0]).toStartWith("edges.0.id: ");
    expect(refused({ edge: { ...EDGE, to: id } })[0]).toStartWith("edges.0.to: ");
  });

  test.each([
    ["subject", "s".repeat(999)],
    ["html", "h".repeat(1_000_001)],
    ["text", "t".repeat(1_000_001)],
    ["credentialId", "SES"],
    ["from", { email: "ann@example.com\r\nBcc: eve@example.com" }],
    ["replyTo", "nobody"],
    ["trackOpens", "yes"],
    ["position", { x: 1, y: 1e300 }],
  ])("refuses a %s out of bounds", (field, value) => {
    expect(refused({ node: { ...MESSAGE, [field]: value } })[0]).toStartWith(`nodes.0.${field}`);
  });

  const split = (...variants: object[]) => ({ id: "ab", type: "split", variants });
  const mark = (more: object) => ({ id: "mark", type: "update-contact", ...more });
  const hook = (more: object) => ({ id: "hook", type: "webhook", url: "https://example.com/", ...more });
  const many = (value: unknown) => Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`n${n}`, value]));

  test.each([
    ["a wait for nothing", { id: "w", type: "wait" }, "nodes.0"],
    [
      "a wait for two things",
      { id: "w", type: "wait", duration: "P1D", until: "2026-12-24T09:00" },
      "nodes.0",
    ],
    ["a wait until 24:00", { id: "w", type: "wait", at: { time: "24:00" } }, "nodes.0.at.time"],
    [
      "a wait for no day",
      { id: "w", type: "wait", at: { time: "09:00", weekdays: [] } },
      "nodes.0.at.weekdays",
    ],
    [
      "a wait for one day twice",
      { id: "w", type: "wait", at: { time: "09:00", weekdays: ["mon", "mon"] } },
      "nodes.0.at.weekdays",
    ],
    [
      "a wait for a day in words",
      { id: "w", type: "wait", at: { time: "09:00", weekdays: ["monday"] } },
      "nodes.0.at.weekdays.0",
    ],
    ["a condition without a filter", { id: "c", type: "condition" }, "nodes.0.if"],
    ["a condition in code", { id: "c", type: "condition", if: "contact.plan == 'pro'" }, "nodes.0.if"],
    [
      "a condition with a comparison that there is not",
      { id: "c", type: "condition", if: { attribute: "plan", is: "like", value: "p%" } },
      "nodes.0.if",
    ],
    ["a split without a choice", split({ id: "a", weight: 1 }), "nodes.0.variants"],
    [
      "a weight of nothing",
      split({ id: "a", weight: 0 }, { id: "b", weight: 1 }),
      "nodes.0.variants.0.weight",
    ],
    ["half a weight", split({ id: "a", weight: 0.5 }, { id: "b", weight: 1 }), "nodes.0.variants.0.weight"],
    ["an attribute that is a list", mark({ set: { plan: ["pro"] } }), "nodes.0.set.plan"],
    ["an attribute that is null", mark({ set: { plan: null } }), "nodes.0.set.plan"],
    ["an attribute whose name has a dot", mark({ set: { "a.b": 1 } }), "nodes.0.set.a.b"],
    ["51 attributes", mark({ set: many(1) }), "nodes.0.set"],
    ["an attribute of a line to unset", mark({ unset: ["a\nb"] }), "nodes.0.unset.0"],
    ["an empty tag", mark({ addTags: [" "] }), "nodes.0.addTags.0"],
    ["a method of its own", hook({ method: "BREW" }), "nodes.0.method"],
    ["a timeout of a minute", hook({ timeoutSeconds: 60 }), "nodes.0.timeoutSeconds"],
    ["a body of 100,001 characters", hook({ body: "b".repeat(100_001) }), "nodes.0.body"],
    ["an empty path into an answer", hook({ output: { score: "data..score" } }), "nodes.0.output.score"],
    ["51 outputs", hook({ output: many("a") }), "nodes.0.output"],
    [
      "an address of 2,049 characters",
      hook({ url: `https://a.example/${"u".repeat(2_031)}` }),
      "nodes.0.url",
    ],
  ])("refuses %s", (_, node, field) => {
    expect(refused({ node }).map((line) => line.split(": ")[0])).toContain(field);
  });

  test.each([
    ["maxRounds", 0],
    ["maxRounds", 101],
    ["maxRounds", 1.5],
    ["exitOn", ["opened"]],
    ["exitOn", ["replied", "replied"]],
    ["reenrollAfter", 7],
    ["timeZone", "z".repeat(65)],
    ["quietHours", { from: "21:00" }],
    ["quietHours", { from: "9:00", to: "10:00" }],
    ["topicId", "news"],
    ["ignoreFrequencyCap", "yes"],
  ])("refuses the setting %s: %j", (name, value) => {
    const result = campaignInput.safeParse({ name: "Welcome", nodes: [MESSAGE], edges: [], [name]: value });
    expect(result.error?.issues[0]?.path[0]).toBe(name);
  });

  test("bounds the number of nodes and edges", () => {
    const nodes = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ id: `n${index}`, type: "exit" }));
    const edges = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ ...EDGE, id: `e${index}` }));
    const isTaken = (nodeCount: number, edgeCount: number) =>
      campaignInput.safeParse({ name: "Welcome", nodes: nodes(nodeCount), edges: edges(edgeCount) }).success;
    expect(isTaken(MAX_NODES, MAX_EDGES)).toBeTrue();
    expect(isTaken(MAX_NODES + 1, 0)).toBeFalse();
    expect(isTaken(1, MAX_EDGES + 1)).toBeFalse();
    expect(isTaken(0, 0)).toBeFalse();
  });

  test("has examples that can be sent as they are", () => {
    const whole = campaignInput.parse(campaignInput.meta()?.example);
    expect(validateCampaign(whole)).toEqual([]);
    const steps = [waitNode, conditionNode, splitNode, updateContactNode, webhookNode];
    for (const schema of steps) {
      const campaign = campaignInput.parse({ name: "Step", nodes: [schema.meta()?.example], edges: [] });
      const problems = validateCampaign(campaign).map(({ reason }) => reason);
      expect(problems.filter((reason) => !reason.includes('node "hook", which does not exist'))).toEqual([]);
    }
  });

  describe("of a Telegram message", () => {
    const TELEGRAM = {
      id: "nudge",
      type: "message",
      channel: "telegram",
      credentialId: MESSAGE.credentialId,
      text: "Hi",
    };
    const button = { text: "Buy", url: "https://example.com/" };

    test("fills in what was left out", () => {
      const campaign = campaignInput.parse({ name: "Welcome", nodes: [TELEGRAM], edges: [] });
      expect(campaign.nodes).toEqual([
        {
          ...TELEGRAM,
          type: "message",
          channel: "telegram",
          photo: null,
          buttons: [],
          unsubscribeButton: true,
          trackClicks: true,
          silent: false,
          protectContent: false,
        },
      ]);
    });

    test.each([
      [[[{ text: "a" }]], "0.0: must have either a url or unsubscribe: true"],
      [[[{ ...button, unsubscribe: true }]], "0.0: must have either a url or unsubscribe: true"],
      [[[]], "0: must have at least one button"],
      [[Array(9).fill(button)], "0: must have at most 8 buttons"],
    ])("takes no such buttons: %j", (buttons, reason) => {
      expect(refused({ node: { ...TELEGRAM, buttons } })).toEqual([`nodes.0.buttons.${reason}`]);
    });

    test("takes a hundred buttons, and no more", () => {
      const rows = (count: number) => Array.from({ length: count }, () => [button]);
      expect(refused({ node: { ...TELEGRAM, buttons: rows(100) } })).toEqual([]);
      expect(refused({ node: { ...TELEGRAM, buttons: rows(101) } })).toEqual([
        "nodes.0.buttons: must be at most 100 buttons in all",
      ]);
    });

    test("takes nothing of an email", () => {
      expect(refused({ node: { ...TELEGRAM, subject: "Hi" } })).toEqual([
        'nodes.0: Unrecognized key: "subject"',
      ]);
    });
  });

  test("is described in OpenAPI node type by node type", () => {
    const app = new OpenAPIHono();
    const body = { content: { "application/json": { schema: campaignInput } } };
    const route = createRoute({
      method: "post",
      path: "/",
      request: { body },
      responses: { 204: { description: "done" } },
    });
    app.openapi(route, (c) => c.body(null, 204));
    const document = app.getOpenAPI31Document({ openapi: "3.1.0", info: { title: "t", version: "1" } });
    const schemas = document.components?.schemas ?? {};
    expect(Object.keys(schemas).sort()).toEqual([
      "AllFilter",
      "AnyFilter",
      "AttributeFilter",
      "CampaignInput",
      "ConditionNode",
      "Edge",
      "EmailMessageNode",
      "EventFilter",
      "ExitNode",
      "FieldFilter",
      "Filter",
      "MessageNode",
      "NodeFilter",
      "NotFilter",
      "SplitNode",
      "TagFilter",
      "TelegramButton",
      "TelegramMessageNode",
      "UpdateContactNode",
      "WaitNode",
      "WebhookNode",
    ]);
    expect(schemas.WaitNode).toMatchObject({
      additionalProperties: false,
      required: ["id", "type"],
      properties: { duration: { example: "P2D" } },
    });
    expect(schemas.ConditionNode).toMatchObject({
      required: ["id", "type", "if"],
      properties: { if: { $ref: "#/components/schemas/Filter" } },
    });
  });
});
