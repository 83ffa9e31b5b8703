import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Filter } from "../contacts/filter.ts";
import { tag } from "../contacts/schema.ts";
import { AppError } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { id } from "../http/fields.ts";
import { problems } from "../http/openapi.ts";
import { separatorName, separatorOf } from "../imports/schema.ts";
import type { Logger } from "../logger.ts";
import { findSegment } from "../segments/queries.ts";
import { noSuchSegment, readFilter } from "../segments/read-filter.ts";
import type { Db } from "../storage/pool.ts";
import { csvResponse } from "./csv-response.ts";
import { contactPieces, suppressionPieces } from "./stream.ts";

/** Each holds a connection until it has been downloaded. */
const MAX_AT_A_TIME = 4;

const dialect = {
  separator: separatorName.default("comma"),
  spreadsheet: z
    .enum(["true", "false"])
    .default("false")
    .transform((value) => value === "true")
    .openapi({
      type: "boolean",
      default: false,
      description:
        "For a spreadsheet: an apostrophe goes before what begins with `=`, `+`, `-` or `@`, so that nobody's data is " +
        "run as a formula. Not for another import: without it the cells are exactly what is stored.",
    }),
};

const file = (example: string) => ({
  200: {
    description: "The file, as it was when the answer began",
    content: { "text/csv": { schema: z.string().openapi({ format: "binary", example }) } },
  },
});

const contacts = createRoute({
  method: "get",
  path: "/contacts/export",
  operationId: "exportContacts",
  tags: ["Contacts"],
  summary: "Download contacts as CSV",
  description:
    "Oldest first, in UTF-8. The columns are `email`, `timeZone`, `telegramChatId`, `tags` and one for each attribute, " +
    "`attributes.<name>`, or `attributes.<name>:json` where not all values are texts; an import takes them as they " +
    "are, and leaves everybody as they were. With more than 500 attributes they are one column, `attributes:json`.",
  request: {
    query: z.object({
      tag: tag.optional(),
      segmentId: id().optional().openapi({ description: "Only who is in this segment." }),
      ...dialect,
    }),
  },
  responses: {
    ...file(
      "email,timeZone,telegramChatId,tags,attributes.firstName\r\nann@example.com,Europe/Paris,,vip,Ann\r\n",
    ),
    ...problems("invalid", "not_found", "conflict", "rate_limited"),
  },
});

const suppressions = createRoute({
  method: "get",
  path: "/suppressions/export",
  operationId: "exportSuppressions",
  tags: ["Suppressions"],
  summary: "Download suppressions as CSV",
  description: "Oldest first, in UTF-8. A domain is `@example.com`. An import takes the file as it is.",
  request: { query: z.object(dialect) },
  responses: {
    ...file("address,channel,reason,createdAt\r\nann@example.com,email,bounce,2026-03-06T20:00:26.893Z\r\n"),
    ...problems("invalid", "rate_limited"),
  },
});

/** Downloads. Each is made while it is read, so that none is held in memory. */
export function exportRoutes(deps: { now: () => Date; log: Pick<Logger, "error"> }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();
  const limited = limiter(MAX_AT_A_TIME);

  routes.openapi(contacts, async (c) => {
    const { tag, segmentId, separator, spreadsheet } = c.req.valid("query");
    const { db, customerId } = c.var;
    const filter = await filterOf(db, customerId, tag, segmentId);
    const chosen = { separator: separatorOf(separator), spreadsheet };
    const pieces = contactPieces(db, { customerId, filter, now: deps.now() }, chosen);
    return csvResponse(c, "contacts.csv", limited(pieces), deps.log);
  });

  routes.openapi(suppressions, async (c) => {
    const { separator, spreadsheet } = c.req.valid("query");
    const chosen = { separator: separatorOf(separator), spreadsheet };
    const pieces = suppressionPieces(c.var.db, c.var.customerId, chosen);
    return csvResponse(c, "suppressions.csv", limited(pieces), deps.log);
  });

  return routes;
}

async function filterOf(
  db: Db,
  customerId: string,
  tag: string | undefined,
  segmentId: string | undefined,
): Promise<Filter> {
  const all: Filter[] = tag === undefined ? [] : [{ tag }];
  if (segmentId !== undefined) {
    const segment = await findSegment(db, customerId, segmentId);
    if (segment === null) throw noSuchSegment();
    all.push(readFilter(segment));
  }
  return { all };
}

/** Refuses what is more than `max` at a time. What is given back counts from its first piece to its end. */
function limiter(max: number): (pieces: AsyncGenerator<string>) => AsyncGenerator<string> {
  let running = 0;
  return (pieces) => {
    if (running >= max)
      throw new AppError("rate_limited", `${max} downloads are under way. Try again when one has ended.`);
    return (async function* () {
      running += 1;
      try {
        yield* pieces;
      } finally {
        running -= 1;
      }
    })();
  };
}
