import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import { newId } from "../events/id.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage } from "../http/pagination.ts";
import { invalid } from "../http/problem.ts";
import { inTransaction } from "../http/transaction.ts";
import { syntaxProblem } from "../messages/template.ts";
import type { Db } from "../storage/pool.ts";
import { expandTemplate, placeOf, type Source } from "./expand.ts";
import { templateNames } from "./prepare.ts";
import {
  deleteTemplate,
  findSourcesMentioning,
  findTemplate,
  findTemplatesUsing,
  holdLibrary,
  insertTemplate,
  lockTemplate,
  type StoredTemplate,
  saveTemplate,
  selectTemplates,
} from "./queries.ts";
import {
  newTemplate,
  templateChange,
  templateKind,
  templateName,
  template as templateSchema,
} from "./schema.ts";

const tags = ["Templates"];

const create = createRoute({
  method: "post",
  path: "/templates",
  operationId: "createTemplate",
  tags,
  summary: "Create a layout or a partial",
  description:
    "Its Liquid is checked, with the templates it names. Whether its variables are there is checked in the messages " +
    "that use it, and so is its MJML.",
  request: { body: jsonBody(newTemplate) },
  responses: { 201: json(templateSchema, "The template"), ...problems("invalid", "conflict") },
});

const list = createRoute({
  method: "get",
  path: "/templates",
  operationId: "listTemplates",
  tags,
  summary: "List templates, newest first",
  request: {
    query: z.object({ ...pageQuery, kind: templateKind.optional(), name: templateName.optional() }),
  },
  responses: { 200: json(listOf(templateSchema), "A page of templates"), ...problems("invalid") },
});

const read = createRoute({
  method: "get",
  path: "/templates/{id}",
  operationId: "getTemplate",
  tags,
  summary: "Get a template",
  request: { params: idParams },
  responses: { 200: json(templateSchema, "The template"), ...problems("invalid", "not_found") },
});

const change = createRoute({
  method: "patch",
  path: "/templates/{id}",
  operationId: "changeTemplate",
  tags,
  summary: "Change a template",
  description:
    "What a campaign uses is frozen when it is activated: a change reaches it when it is activated again. A template " +
    "that campaigns or other templates name keeps its name.",
  request: { params: idParams, body: jsonBody(templateChange) },
  responses: { 200: json(templateSchema, "The template"), ...problems("invalid", "not_found", "conflict") },
});

const remove = createRoute({
  method: "delete",
  path: "/templates/{id}",
  operationId: "deleteTemplate",
  tags,
  summary: "Delete a template",
  description: "One that no campaign, as it is edited, and no other template names.",
  request: { params: idParams },
  responses: { 204: { description: "Deleted" }, ...problems("invalid", "not_found", "conflict") },
});

export function templateRoutes(): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(create, async (c) => {
    const template = { ...c.req.valid("json"), id: newId() };
    const { customerId } = c.var;
    const created = await inTransaction(c.var.db, async (db) => {
      await refuseProblems(db, customerId, template);
      return await insertTemplate(db, customerId, { ...template, uses: templateNames(template.source) });
    });
    if (created === null) throw nameTaken(template.name);
    return c.json(present(created), 201);
  });

  routes.openapi(list, async (c) => {
    const { limit, cursor, kind = null, name = null } = c.req.valid("query");
    const rows = await selectTemplates(c.var.db, c.var.customerId, { kind, name }, { limit, cursor });
    const page = toPage(rows, limit);
    return c.json({ ...page, items: page.items.map(present) }, 200);
  });

  routes.openapi(read, async (c) => {
    const found = await findTemplate(c.var.db, c.var.customerId, c.req.valid("param").id);
    if (found === null) throw noSuchTemplate();
    return c.json(present(found), 200);
  });

  routes.openapi(change, async (c) => {
    const { id } = c.req.valid("param");
    const fields = c.req.valid("json");
    const { customerId } = c.var;
    const changed = await inTransaction(c.var.db, async (db) => {
      const existing = await lockTemplate(db, customerId, id);
      if (existing === null) throw noSuchTemplate();
      const template = {
        ...existing,
        name: fields.name ?? existing.name,
        source: fields.source ?? existing.source,
      };
      if (template.name !== existing.name) await refuseIfUsed(db, customerId, existing.name);
      await refuseProblems(db, customerId, template);
      const uses = templateNames(template.source);
      const saved = await saveTemplate(db, customerId, { ...template, uses });
      if (saved === null) throw nameTaken(template.name);
      return saved;
    });
    return c.json(present(changed), 200);
  });

  routes.openapi(remove, async (c) => {
    const { id } = c.req.valid("param");
    const { customerId } = c.var;
    await inTransaction(c.var.db, async (db) => {
      const existing = await lockTemplate(db, customerId, id);
      if (existing === null) throw noSuchTemplate();
      await refuseIfUsed(db, customerId, existing.name);
      await deleteTemplate(db, customerId, id);
    });
    return c.body(null, 204);
  });

  return routes;
}

async function refuseProblems(db: Db, customerId: string, template: Source): Promise<void> {
  const library = new Map(await holdLibrary(db, customerId, templateNames(template.source)));
  library.set(template.name, template);
  // Used as others would use it, so that a circle shows.
  const use = template.kind === "layout" ? "layout" : "render";
  const expanded = expandTemplate(`{% ${use} "${template.name}" %}`, template.format, library);
  if (!expanded.ok) throw invalid([{ field: "source", reason: expanded.reason }]);
  const pieces = [...expanded.before, ...expanded.pieces];
  const text = pieces.map((piece) => piece.text).join("");
  const problem = syntaxProblem(text, (...at) => placeOf(pieces, ...at));
  if (problem !== null) throw invalid([{ field: "source", reason: problem }]);
}

async function refuseIfUsed(db: Db, customerId: string, name: string): Promise<void> {
  const sources = await findSourcesMentioning(db, customerId, name);
  const users = new Map(
    sources
      .filter(({ html }) => templateNames(html).includes(name))
      .map(({ campaignId, campaignName }) => [campaignId, `the campaign "${campaignName}" (${campaignId})`]),
  );
  const templates = await findTemplatesUsing(db, customerId, name);
  const all = [...users.values(), ...templates.map((other) => `the template "${other}"`)];
  if (all.length === 0) return;
  throw new AppError("conflict", `The template "${name}" is still used by ${all.join(", ")}.`);
}

function present({ createdAt, updatedAt, ...template }: StoredTemplate) {
  return { ...template, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
}

function nameTaken(name: string): AppError {
  const field = { field: "name", reason: "belongs to another template" };
  return new AppError("conflict", `There is a template "${name}" already.`, [field]);
}

const noSuchTemplate = () => new AppError("not_found", "There is no template with this id.");
