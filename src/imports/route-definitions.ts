import { createRoute, z } from "@hono/zod-openapi";
import { idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf, pageQuery } from "../http/pagination.ts";
import type { Kind } from "./mapping.ts";
import {
  contactImport,
  contactStart,
  reading,
  refusal,
  refusalQuery,
  suppressionImport,
  suppressionStart,
  uploadQuery,
} from "./schema.ts";

const WHAT_A_FILE_MAY_BE =
  "The body is the file itself, up to 1 GiB, with a header or without. Its encoding (UTF-8, UTF-16, Windows-1252 and " +
  "others), separator (comma, semicolon, tab, pipe) and columns are found out; nothing is imported before it is " +
  "started. A file that nobody starts is deleted after a week.";

const HOW_ROWS_ARE_TAKEN =
  "Rows are taken in the order of the file, so of several with one email the last wins (with `onExisting: skip` the " +
  "first). Lines that are wrong are refused one by one; an unclosed quote costs its own line only. Starting again " +
  "with the same settings changes nothing.";

const words = {
  contacts: { tag: "Contacts", One: "ContactImport", file: "contacts" },
  suppressions: { tag: "Suppressions", One: "SuppressionImport", file: "suppressions" },
};

const startOf = { contacts: contactStart, suppressions: suppressionStart };
const shownOf = { contacts: contactImport, suppressions: suppressionImport };

/** The routes on imports of a kind, under `/contacts/imports` or `/suppressions/imports`. */
export function importRouteDefinitions(kind: Kind) {
  const { tag, One, file } = words[kind];
  const shown = shownOf[kind];
  const base = { tags: [tag] };
  const path = `/${kind}/imports` as const;
  const one = `/${kind}/imports/{id}` as const;
  const answers = { 200: json(shown, "The import"), ...problems("invalid", "not_found", "conflict") };
  const binary = {
    schema: z.string().openapi({ format: "binary", example: "email,firstName\nann@example.com,Ann\n" }),
  };
  return {
    upload: createRoute({
      ...base,
      method: "post",
      path,
      operationId: `create${One}`,
      summary: `Upload a CSV file of ${file}`,
      description: WHAT_A_FILE_MAY_BE,
      request: {
        query: uploadQuery,
        body: { required: true, content: { "text/csv": binary, "application/octet-stream": binary } },
      },
      responses: {
        201: json(shown, "The import, not yet started"),
        ...problems("invalid", "too_large", "unsupported_media_type", "unprocessable"),
      },
    }),
    list: createRoute({
      ...base,
      method: "get",
      path,
      operationId: `list${One}s`,
      summary: `List imports of ${file}, newest first`,
      request: { query: z.object(pageQuery) },
      responses: { 200: json(listOf(shown), "A page of imports"), ...problems("invalid") },
    }),
    read: createRoute({
      ...base,
      method: "get",
      path: one,
      operationId: `get${One}`,
      summary: "Get an import, with its progress",
      request: { params: idParams },
      responses: { 200: json(shown, "The import"), ...problems("invalid", "not_found") },
    }),
    reread: createRoute({
      ...base,
      method: "patch",
      path: one,
      operationId: `reread${One}`,
      summary: "Read an uploaded file another way",
      description:
        "Before the start: names the encoding, the separator or the header that was not found out rightly.",
      request: { params: idParams, body: jsonBody(reading) },
      responses: answers,
    }),
    start: createRoute({
      ...base,
      method: "post",
      path: `${one}/start`,
      operationId: `start${One}`,
      summary: "Start an import",
      description: HOW_ROWS_ARE_TAKEN,
      request: { params: idParams, body: jsonBody(startOf[kind]) },
      responses: { ...answers, ...problems("unprocessable") },
    }),
    pause: createRoute({
      ...base,
      method: "post",
      path: `${one}/pause`,
      operationId: `pause${One}`,
      summary: "Pause an import",
      description: "Within a batch of 500 rows. What is not resumed within a week expires.",
      request: { params: idParams },
      responses: answers,
    }),
    resume: createRoute({
      ...base,
      method: "post",
      path: `${one}/resume`,
      operationId: `resume${One}`,
      summary: "Go on with a paused import",
      request: { params: idParams },
      responses: answers,
    }),
    cancel: createRoute({
      ...base,
      method: "post",
      path: `${one}/cancel`,
      operationId: `cancel${One}`,
      summary: "Cancel an import",
      description: "Within a batch of 500 rows. What has been imported stays; the uploaded file is deleted.",
      request: { params: idParams },
      responses: answers,
    }),
    refusals: createRoute({
      ...base,
      method: "get",
      path: `${one}/refusals`,
      operationId: `list${One}Refusals`,
      summary: "List refused lines, in the order of the file",
      description: "The first 100,000 are kept, for 90 days; all are counted.",
      request: { params: idParams, query: refusalQuery },
      responses: {
        200: json(listOf(refusal), "A page of refused lines"),
        ...problems("invalid", "not_found"),
      },
    }),
    refusalsFile: createRoute({
      ...base,
      method: "get",
      path: `${one}/refusals.csv`,
      operationId: `download${One}Refusals`,
      summary: "Download refused lines, to mend and import again",
      description:
        "The lines as they are in the file, in UTF-8, behind three columns that say what was wrong with them. An " +
        "import leaves these three out.",
      request: { params: idParams },
      responses: {
        200: { description: "The file", content: { "text/csv": binary } },
        ...problems("invalid", "not_found"),
      },
    }),
  };
}
