import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import { newId } from "../events/id.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { listOf, pageQuery, toPage } from "../http/pagination.ts";
import { invalid } from "../http/problem.ts";
import { inTransaction } from "../http/transaction.ts";
import { withChannel } from "../messages/one-off.ts";
import {
  type Credential,
  deleteCredential,
  findCampaignsUsing,
  findCredential,
  findSmtpCredential,
  insertCredential,
  lockCredential,
  saveCredential,
  selectCredentials,
} from "./queries.ts";
import {
  credentialChange,
  credential as credentialSchema,
  newCredential,
  smtpSettings,
  verification,
} from "./schema.ts";
import { sealSecret } from "./secret-box.ts";

const tags = ["Credentials"];

const create = createRoute({
  method: "post",
  path: "/credentials",
  operationId: "createCredential",
  tags,
  summary: "Connect a mail server",
  description: "Nothing is tried yet: `POST /credentials/{id}/verify` does that.",
  request: { body: jsonBody(newCredential) },
  responses: { 201: json(credentialSchema, "The credential"), ...problems("invalid") },
});

const list = createRoute({
  method: "get",
  path: "/credentials",
  operationId: "listCredentials",
  tags,
  summary: "List credentials, newest first",
  request: { query: z.object(pageQuery) },
  responses: { 200: json(listOf(credentialSchema), "A page of credentials"), ...problems("invalid") },
});

const read = createRoute({
  method: "get",
  path: "/credentials/{id}",
  operationId: "getCredential",
  tags,
  summary: "Get a credential",
  request: { params: idParams },
  responses: { 200: json(credentialSchema, "The credential"), ...problems("invalid", "not_found") },
});

const change = createRoute({
  method: "patch",
  path: "/credentials/{id}",
  operationId: "changeCredential",
  tags,
  summary: "Change a credential",
  request: { params: idParams, body: jsonBody(credentialChange) },
  responses: { 200: json(credentialSchema, "The credential"), ...problems("invalid", "not_found") },
});

const remove = createRoute({
  method: "delete",
  path: "/credentials/{id}",
  operationId: "deleteCredential",
  tags,
  summary: "Delete a credential",
  description:
    "Refused while a running or paused campaign sends through it or has mail queued for it. Drafts do not count: " +
    "they have to name another before they are activated.",
  request: { params: idParams },
  responses: { 204: { description: "Deleted" }, ...problems("invalid", "not_found", "conflict") },
});

const verify = createRoute({
  method: "post",
  path: "/credentials/{id}/verify",
  operationId: "verifyCredential",
  tags,
  summary: "Connect to the mail server and log in",
  description: "Sends nothing. Answers within half a minute.",
  request: { params: idParams },
  responses: { 200: json(verification, "How it went"), ...problems("invalid", "not_found") },
});

/** @param deps.answerWithinMs how long a mail server may take to let us in before `verify` says that it does not */
export function credentialRoutes(deps: { encryptionKey: Buffer; answerWithinMs: number }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();
  const seal = (customerId: string, id: string, password: string | null) =>
    sealSecret(deps.encryptionKey, `${customerId}/${id}`, password ?? "");

  routes.openapi(create, async (c) => {
    const { type, name, password, ...settings } = c.req.valid("json");
    const { customerId } = c.var;
    refusePasswordWithoutUsername(settings.username, password !== null);
    const id = newId();
    const secret = seal(customerId, id, password);
    const created = await inTransaction(c.var.db, async (db) => {
      await insertCredential(db, customerId, { id, name, settings, secret });
      return await findCredential(db, customerId, id);
    });
    return c.json(present(created), 201);
  });

  routes.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const page = toPage(await selectCredentials(c.var.db, c.var.customerId, { limit, cursor }), limit);
    return c.json({ ...page, items: page.items.map(present) }, 200);
  });

  routes.openapi(read, async (c) => {
    return c.json(present(await findCredential(c.var.db, c.var.customerId, c.req.valid("param").id)), 200);
  });

  routes.openapi(change, async (c) => {
    const { id } = c.req.valid("param");
    const { name, password, ...settings } = c.req.valid("json");
    const { customerId } = c.var;
    const changed = await inTransaction(c.var.db, async (db) => {
      const existing = await lockCredential(db, customerId, id);
      if (existing === null) throw noSuchCredential();
      const merged = smtpSettings.parse({ ...existing.settings, ...settings });
      const hasPassword = password === undefined ? existing.hasPassword : password !== null;
      refusePasswordWithoutUsername(merged.username, hasPassword);
      const secret = password === undefined ? null : seal(customerId, id, password);
      await saveCredential(db, customerId, { id, name: name ?? existing.name, settings: merged, secret });
      return await findCredential(db, customerId, id);
    });
    return c.json(present(changed), 200);
  });

  routes.openapi(remove, async (c) => {
    const { id } = c.req.valid("param");
    const { customerId } = c.var;
    await inTransaction(c.var.db, async (db) => {
      if ((await lockCredential(db, customerId, id)) === null) throw noSuchCredential();
      const users = await findCampaignsUsing(db, customerId, id);
      if (users.length > 0) throw inUse(users);
      await deleteCredential(db, customerId, id);
    });
    return c.body(null, 204);
  });

  routes.openapi(verify, async (c) => {
    const { id } = c.req.valid("param");
    const credential = await findSmtpCredential(c.var.db, deps.encryptionKey, c.var.customerId, id);
    if (credential === null) throw noSuchCredential();
    const answer = await withChannel(credential, deps.answerWithinMs, async (channel) => ({
      reason: await channel.verify(),
    }));
    const reason =
      answer === null ? `The server did not answer within ${deps.answerWithinMs / 1000} s.` : answer.reason;
    return c.json({ ok: reason === null, reason }, 200);
  });

  return routes;
}

function present(credential: Credential | null) {
  if (credential === null) throw noSuchCredential();
  const { settings, ...rest } = credential;
  return {
    ...rest,
    ...settings,
    createdAt: rest.createdAt.toISOString(),
    updatedAt: rest.updatedAt.toISOString(),
  };
}

function refusePasswordWithoutUsername(username: string | null, hasPassword: boolean): void {
  if (username === null && hasPassword) {
    throw invalid([{ field: "username", reason: "is required with a password" }]);
  }
}

function inUse(campaigns: readonly { id: string; name: string }[]): AppError {
  const names = campaigns.map(({ id, name }) => `"${name}" (${id})`).join(", ");
  return new AppError("conflict", `Campaigns still send through this credential: ${names}.`);
}

const noSuchCredential = () => new AppError("not_found", "There is no credential with this id.");
