import { describe, expect, test } from "bun:test";
import { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import fc from "fast-check";
import { validCampaign } from "../../test/support/graphs.ts";
import { campaignInput, MAX_EDGES, MAX_NODES } from "./schema.ts";

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
          html: "<p>Hi</p>",
          text: null,
          unsubscribeLink: true,
          trackOpens: true,
          trackClicks: true,
        },
      ],
      edges: [{ id: "e1", from: "hello", to: "end", firesWhen: "always", url: null }],
      countAutomaticHits: false,
    });
  });

  test("takes every valid campaign as it is", () => {
    fc.assert(
      fc.property(validCampaign(), (campaign) => {
        expect(campaignInput.parse(structuredClone(campaign))).toEqual(campaign);
      }),
    );
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
    expect(refused({ node: { id: "c", type: "condition" } })).toEqual([
      'nodes.0.type: must be one of message, wait, exit, not "condition"',
    ]);
    expect(refused({ node: { id: "c" } })).toEqual(["nodes.0.type: must be one of message, wait, exit"]);
    expect(refused({ node: [] })).toEqual(["nodes.0: must be a node, an object"]);
    expect(refused({ edge: { ...EDGE, firesWhen: "notOpened" } })).toEqual([
      'edges.0.firesWhen: must be one of always, sent, failed, opened, clicked, unsubscribed, not "notOpened"',
    ]);
    expect(refused({ node: { ...MESSAGE, channel: "telegram" } })).toEqual([
      'nodes.0.channel: must be "email"',
    ]);
  });

  test("never repeats more than the beginning of what it refuses", () => {
    const [reason] = refused({ node: { id: "c", type: "x".repeat(100_000) } });
    expect(reason?.length).toBeLessThan(120);
  });

  test.each([
    { node: { ...MESSAGE, within: "P3D" } },
    { node: { id: "end", type: "exit", duration: "P1D" } },
    { node: { ...MESSAGE, from: { email: "ann@example.com", phone: "1" } } },
    { node: { ...MESSAGE, position: { x: 1, y: 2, z: 3 } } },
    { edge: { ...EDGE, within: "P3D" } },
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
      "CampaignInput",
      "Edge",
      "ExitNode",
      "MessageNode",
      "WaitNode",
    ]);
    expect(schemas.WaitNode).toMatchObject({
      additionalProperties: false,
      required: ["id", "type", "duration"],
      properties: { duration: { example: "P2D" } },
    });
  });
});
