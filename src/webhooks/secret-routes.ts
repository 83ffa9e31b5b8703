import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { AppError } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { id, idParams } from "../http/fields.ts";
import { json, jsonBody, problems } from "../http/openapi.ts";
import { inTransaction } from "../http/transaction.ts";
import type { Db } from "../storage/pool.ts";
import { recordAudit } from "./audit-queries.ts";
import { findEndpoint, lockEndpoint } from "./endpoint-edit-queries.ts";
import type { EndpointDeps } from "./endpoint-routes.ts";
import { rotatedSecret, rotation, secret as secretSchema } from "./endpoint-schema.ts";
import { openPart } from "./endpoint-seal.ts";
import { noSuchEndpoint } from "./endpoint-view.ts";
import {
  deleteSecret,
  endSecrets,
  type SealedSecret,
  selectSecrets,
  touchEndpoint,
} from "./secret-queries.ts";
import { addSecret, newSecret } from "./secrets.ts";

const tags = ["Webhooks"];

/** Each signs every request, and receivers read them all. */
const MAX_SECRETS = 5;

const list = createRoute({
  method: "get",
  path: "/webhooks/endpoints/{id}/secrets",
  operationId: "listWebhookSecrets",
  tags,
  summary: "List the secrets that sign, newest first",
  description: `Without the secrets themselves. There are ${MAX_SECRETS} at most.`,
  request: { params: idParams },
  responses: {
    200: json(z.object({ items: z.array(secretSchema), nextCursor: z.null() }), "The secrets"),
    ...problems("invalid", "not_found"),
  },
});

const rotate = createRoute({
  method: "post",
  path: "/webhooks/endpoints/{id}/secrets/rotate",
  operationId: "rotateWebhookSecret",
  tags,
  summary: "Make a new secret",
  description:
    "Every request carries a signature of the new secret and, for `overlapSeconds`, of those before it: receivers change " +
    "over in between.",
  request: { params: idParams, body: jsonBody(rotation) },
  responses: {
    200: json(rotatedSecret, "The new secret, shown once"),
    ...problems("invalid", "not_found", "conflict"),
  },
});

const revoke = createRoute({
  method: "delete",
  path: "/webhooks/endpoints/{id}/secrets/{secretId}",
  operationId: "revokeWebhookSecret",
  tags,
  summary: "Revoke a secret before its overlap ends",
  request: { params: idParams.extend({ secretId: id() }) },
  responses: { 204: { description: "Revoked" }, ...problems("invalid", "not_found", "conflict") },
});

export function secretRoutes(deps: Pick<EndpointDeps, "encryptionKey" | "randomBytes">): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(list, async (c) => {
    const { id: endpointId } = c.req.valid("param");
    const { customerId, db } = c.var;
    if ((await findEndpoint(db, customerId, endpointId)) === null) throw noSuchEndpoint();
    const whose = { encryptionKey: deps.encryptionKey, customerId, endpointId };
    const secrets = await selectSecrets(db, customerId, endpointId);
    const items = secrets.map((sealed) => ({
      ...present(sealed),
      last4: openPart(whose, `secret ${sealed.id}`, sealed.secret).slice(-4),
    }));
    return c.json({ items, nextCursor: null }, 200);
  });

  routes.openapi(rotate, async (c) => {
    const { id: endpointId } = c.req.valid("param");
    const { overlapSeconds } = c.req.valid("json");
    const { customerId, actor } = c.var;
    const whose = { encryptionKey: deps.encryptionKey, customerId, endpointId };
    const secret = newSecret(deps.randomBytes);
    const newest = await inTransaction(c.var.db, async (db) => {
      await lockSigned(db, customerId, endpointId);
      await endSecrets(db, customerId, endpointId, overlapSeconds);
      if ((await selectSecrets(db, customerId, endpointId)).length >= MAX_SECRETS) throw tooMany();
      await addSecret(db, whose, secret);
      await touchEndpoint(db, customerId, endpointId);
      await recordAudit(db, customerId, {
        actor,
        action: "secret_rotated",
        subject: endpointId,
        reason: null,
        details: { overlapSeconds },
      });
      return (await selectSecrets(db, customerId, endpointId))[0];
    });
    if (newest === undefined) throw new Error("a secret that was just added is there");
    return c.json({ ...present(newest), secret }, 200);
  });

  routes.openapi(revoke, async (c) => {
    const { id: endpointId, secretId } = c.req.valid("param");
    const { customerId, actor } = c.var;
    await inTransaction(c.var.db, async (db) => {
      await lockSigned(db, customerId, endpointId);
      const secrets = await selectSecrets(db, customerId, endpointId);
      if (secrets[0]?.id === secretId) throw isNewest();
      if (!(await deleteSecret(db, customerId, endpointId, secretId))) throw noSuchSecret();
      await touchEndpoint(db, customerId, endpointId);
      await recordAudit(db, customerId, {
        actor,
        action: "secret_revoked",
        subject: endpointId,
        reason: null,
        details: { secretId },
      });
    });
    return c.body(null, 204);
  });

  return routes;
}

async function lockSigned(db: Db, customerId: string, endpointId: string): Promise<void> {
  const endpoint = await lockEndpoint(db, customerId, endpointId);
  if (endpoint === null) throw noSuchEndpoint();
  if (endpoint.type === "custom") return;
  throw new AppError("conflict", "What goes to a chat is not signed: its address is the secret.");
}

function present({ id: secretId, createdAt, expiresAt }: SealedSecret) {
  return {
    id: secretId,
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt?.toISOString() ?? null,
  };
}

function tooMany(): AppError {
  return new AppError("conflict", `There are ${MAX_SECRETS} secrets that sign already: revoke one of them.`);
}

function isNewest(): AppError {
  return new AppError(
    "conflict",
    "It is the newest secret. Make a new one first, with overlapSeconds 0 to end it at once.",
  );
}

const noSuchSecret = () => new AppError("not_found", "The endpoint has no secret with this id.");
