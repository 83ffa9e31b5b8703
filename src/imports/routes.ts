import { OpenAPIHono } from "@hono/zod-openapi";
import { newId } from "../events/id.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { fileBody } from "../http/file-body.ts";
import { toPage } from "../http/pagination.ts";
import { inTransaction } from "../http/transaction.ts";
import { changeImport, existingImport, rereadImport, startUploaded } from "./change-import.ts";
import type { ImportKey } from "./import.ts";
import type { Kind } from "./mapping.ts";
import { selectImports } from "./queries.ts";
import { importRouteDefinitions } from "./route-definitions.ts";
import { contactStart, present, separatorOf, suppressionStart } from "./schema.ts";
import { storeUpload } from "./upload.ts";

/** Uploading and importing files of contacts, or of suppressions. */
export function importRoutes(kind: Kind): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();
  const of = importRouteDefinitions(kind);
  const key = (customerId: string, id: string): ImportKey => ({ customerId, id, kind });

  routes.openapi(of.upload, async (c) => {
    const { start = false, encoding = null, separator, hasHeader = null } = c.req.valid("query");
    const job = key(c.var.customerId, newId());
    const choice = {
      encoding,
      hasHeader,
      separator: separator === undefined ? null : separatorOf(separator),
    };
    await storeUpload(c.var.db, job, fileBody(c), choice);
    if (!start) return c.json(present(await existingImport(c.var.db, job)), 201);
    const defaults = kind === "contacts" ? contactStart.parse({}) : suppressionStart.parse({});
    return c.json(present(await startUploaded(c.var.db, job, defaults)), 201);
  });

  routes.openapi(of.list, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const page = toPage(await selectImports(c.var.db, c.var.customerId, kind, { limit, cursor }), limit);
    return c.json({ ...page, items: page.items.map(present) }, 200);
  });

  routes.openapi(of.read, async (c) => {
    return c.json(
      present(await existingImport(c.var.db, key(c.var.customerId, c.req.valid("param").id))),
      200,
    );
  });

  routes.openapi(of.reread, async (c) => {
    const job = key(c.var.customerId, c.req.valid("param").id);
    return c.json(present(await rereadImport(c.var.db, job, c.req.valid("json"))), 200);
  });

  routes.openapi(of.start, async (c) => {
    const job = key(c.var.customerId, c.req.valid("param").id);
    return c.json(present(await startUploaded(c.var.db, job, c.req.valid("json"))), 200);
  });

  for (const change of ["pause", "resume", "cancel"] as const) {
    routes.openapi(of[change], async (c) => {
      const job = key(c.var.customerId, c.req.valid("param").id);
      const changed = await inTransaction(c.var.db, (db) => changeImport(db, job, change));
      return c.json(present(changed), 200);
    });
  }

  return routes;
}
