import { expect, test } from "bun:test";
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { contactRoutes } from "../../contacts/routes.ts";
import { customerRoutes } from "../../customers/routes.ts";
import { suppressionRoutes } from "../../suppressions/routes.ts";
import type { ApiEnv } from "../env.ts";
import { json, jsonBody } from "../openapi.ts";
import { openApiDocument } from "../openapi-document.ts";
import { renderDocs } from "./page.ts";
import { fieldTables } from "./schema.ts";

function realApp(): OpenAPIHono<ApiEnv> {
  const app = new OpenAPIHono<ApiEnv>();
  for (const routes of [customerRoutes(), contactRoutes(), suppressionRoutes({ now: () => new Date() })]) {
    app.route("/api/v1", routes);
  }
  return app;
}

const document = openApiDocument(realApp(), "https://edgr.example.com");

test("every operation has a summary, a tag, an id, and says what is a 401", () => {
  for (const item of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(item)) {
      expect(operation.summary).toBeString();
      expect(operation.operationId).toBeString();
      expect(document.tags?.map((tag) => tag.name)).toContain(operation.tags[0]);
      expect(operation.responses["401"].content["application/problem+json"].schema).toEqual({
        $ref: "#/components/schemas/Problem",
      });
    }
  }
});

test("every reference in the document leads somewhere", () => {
  const references = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)];
  expect(references.length).toBeGreaterThan(10);
  for (const [, name] of references)
    expect(Object.keys(document.components?.schemas ?? {})).toContain(name ?? "");
});

test("every POST takes an Idempotency-Key, nothing else does", () => {
  for (const item of Object.values(document.paths ?? {})) {
    for (const [method, operation] of Object.entries(item)) {
      expect(JSON.stringify(operation).includes("Idempotency-Key")).toBe(method === "post");
    }
  }
});

test("every operation has an anchor, a link to it, and an example that can be pasted", async () => {
  const page = await renderDocs(document);
  for (const id of ["createContact", "upsertContacts", "deleteSuppression", "changeCustomer"]) {
    expect(page).toContain(`id="${id}"`);
    expect(page).toContain(`href="#${id}"`);
  }
  expect(page).toContain("curl -X POST https://edgr.example.com/api/v1/contacts \\");
  expect(page).toContain(
    "curl https://edgr.example.com/api/v1/contacts/01989c2a-7d3c-7cc3-98c4-dc0c0c07398f \\",
  );
});

test("the page fetches nothing and runs nothing", async () => {
  const page = await renderDocs(document);
  expect(page).not.toMatch(/<script|<link|<img|@import|url\(/);
});

test("what a description says is text, never markup", async () => {
  const app = new OpenAPIHono<ApiEnv>();
  const hostile = "<script>alert(1)</script>";
  const schema = z.object({
    [hostile]: z.string().openapi({ description: hostile, example: `'${hostile}` }),
  });
  const route = createRoute({
    method: "post",
    path: "/x",
    tags: ["Contacts"],
    summary: hostile,
    description: hostile,
    request: { body: jsonBody(schema) },
    responses: { 200: json(schema, hostile) },
  });
  app.openapi(route, (c) => c.json({ [hostile]: "" }, 200));
  expect(await renderDocs(openApiDocument(app, "https://edgr.example.com"))).not.toContain("<script");
});

test("a union is shown variant by variant, what is nested by its path", () => {
  const schemas = {
    Wait: {
      type: "object",
      properties: { type: { type: "string", enum: ["wait"] }, duration: { type: "string" } },
    },
    Exit: { type: "object", properties: { type: { const: "exit" } } },
  };
  const union = { oneOf: [{ $ref: "#/components/schemas/Wait" }, { $ref: "#/components/schemas/Exit" }] };
  expect(fieldTables(union, schemas).map((table) => table.name)).toEqual(['type: "wait"', 'type: "exit"']);
  const graph = { type: "object", properties: { nodes: { type: "array", items: union } } };
  expect(fieldTables(graph, schemas)[0]?.rows.map((row) => row.path)).toEqual([
    "nodes",
    "nodes[].type",
    "nodes[].duration",
    "nodes[].type",
  ]);
});
