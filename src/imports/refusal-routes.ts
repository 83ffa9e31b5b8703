import { OpenAPIHono } from "@hono/zod-openapi";
import { stringify } from "csv-stringify/sync";
import { csvResponse } from "../exports/csv-response.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import type { Logger } from "../logger.ts";
import type { Db } from "../storage/pool.ts";
import { existingImport } from "./change-import.ts";
import type { Import } from "./import.ts";
import { type Kind, REFUSAL_COLUMNS } from "./mapping.ts";
import { selectRefusals } from "./refusal-queries.ts";
import { importRouteDefinitions } from "./route-definitions.ts";

const LINES_AT_A_TIME = 500;

/** What an import of contacts, or of suppressions, refused. */
export function refusalRoutes(kind: Kind, deps: { log: Pick<Logger, "error"> }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();
  const of = importRouteDefinitions(kind);

  routes.openapi(of.refusals, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const job = await existingImport(c.var.db, {
      ...c.req.valid("param"),
      customerId: c.var.customerId,
      kind,
    });
    const rows = await selectRefusals(c.var.db, job, cursor, limit + 1);
    const items = rows.slice(0, limit);
    const last = items.at(-1);
    return c.json(
      { items, nextCursor: rows.length > limit && last !== undefined ? String(last.row) : null },
      200,
    );
  });

  routes.openapi(of.refusalsFile, async (c) => {
    const job = await existingImport(c.var.db, {
      ...c.req.valid("param"),
      customerId: c.var.customerId,
      kind,
    });
    return csvResponse(c, `${kind}-refused.csv`, refusedLines(c.var.db, job), deps.log);
  });

  return routes;
}

async function* refusedLines(db: Db, job: Import): AsyncGenerator<string> {
  const delimiter = job.format?.separator ?? ",";
  yield stringify([[...REFUSAL_COLUMNS, ...(job.format?.columns ?? [])]], { delimiter });
  let after = 0;
  for (;;) {
    const refusals = await selectRefusals(db, job, after, LINES_AT_A_TIME);
    const last = refusals.at(-1);
    if (last === undefined) return;
    // The line is not written anew: what was wrong with it may be how it is written.
    yield refusals
      .map(({ row, field, reason, line }) => {
        const why = stringify([[row, field, reason]], { delimiter, record_delimiter: delimiter });
        return `${why}${line}\n`;
      })
      .join("");
    after = last.row;
  }
}
