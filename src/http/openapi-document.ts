import type { OpenAPIHono } from "@hono/zod-openapi";
import type { ApiEnv } from "./env.ts";
import { takesFile } from "./file-body.ts";

export type OpenApiDocument = ReturnType<OpenAPIHono["getOpenAPI31Document"]>;

const TAGS = [
  { name: "Customer", description: "The account your API key belongs to." },
  { name: "Contacts", description: "The people you write to." },
  { name: "Segments", description: "Saved filters over contacts and what they did." },
  { name: "Suppressions", description: "Addresses that must not be mailed, with the reason." },
  { name: "Credentials", description: "The mail servers and bots you send through." },
  { name: "Campaigns", description: "Graphs of messages, waits and exits that contacts go through." },
  { name: "Templates", description: "Layouts and partials that messages are made of, and previews." },
  { name: "Topics", description: "Kinds of emails that a contact can leave one by one." },
  { name: "Analytics", description: "What came of a campaign: by node, edge, link, hour, domain, device." },
  { name: "Enrollments", description: "One contact's way through one campaign." },
  { name: "Messages", description: "What was sent to whom, and what became of it." },
  { name: "Conversations", description: "What contacts write, over all channels, and your answers." },
  { name: "Events", description: "The log of everything that happened, and whom it was told." },
  { name: "Webhooks", description: "Your own systems and chats, told of what happens." },
  { name: "Inbound events", description: "What a mail provider told that fits no message, or not yet." },
];

const DESCRIPTION = `Send an API key as \`Authorization: Bearer <key>\` with every request.

Ids are UUIDs, times ISO 8601 in UTC. A list answers \`{"items": […], "nextCursor": …}\`, newest first; pass \`nextCursor\` \
as \`cursor\` for the next page until it is null.

A POST with an \`Idempotency-Key\` header runs once: the same request with the same key gets the same answer for 24 hours, \
with \`Idempotency-Replayed: true\`. Answers of 400 and more are not kept.

Errors are \`application/problem+json\` (RFC 9457): \`type\` is stable, \`errors\` names the fields, \`requestId\` is also \
the \`X-Request-Id\` header. Bodies may have 1 MiB (10 MiB where the path ends in \`/bulk\`) and 32 levels; uploaded files \
1 GiB.`;

const IDEMPOTENCY_KEY = {
  name: "Idempotency-Key",
  in: "header" as const,
  required: false,
  description: "Makes a repeated request run once.",
  schema: { type: "string" as const, maxLength: 255 },
};

/** The OpenAPI 3.1 document of what is mounted on `app` at the time of the call. */
export function openApiDocument(app: OpenAPIHono<ApiEnv>, publicUrl: string): OpenApiDocument {
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "EDGR API", version: "1", description: DESCRIPTION, license: { name: "Apache-2.0" } },
    servers: [{ url: publicUrl }],
    security: [{ apiKey: [] }],
  });
  const operations = Object.values(document.paths ?? {}).flatMap((item) => Object.values(item));
  const used = new Set(operations.flatMap((operation) => operation?.tags ?? []));
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    if (item.post === undefined || takesFile("POST", path)) continue;
    item.post.parameters = [...(item.post.parameters ?? []), IDEMPOTENCY_KEY];
  }
  const apiKey = { type: "http" as const, scheme: "bearer", description: "An API key: `edgr_…`" };
  return {
    ...document,
    tags: TAGS.filter((tag) => used.has(tag.name)),
    components: { ...document.components, securitySchemes: { apiKey } },
  };
}
