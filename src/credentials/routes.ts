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
import type { Db } from "../storage/pool.ts";
import { splitAwsSecret } from "./aws.ts";
import { saveAwsSecret } from "./aws-queries.ts";
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
import type { Bots } from "./telegram.ts";
import { type Bot, findBot } from "./telegram-queries.ts";
import { TELEGRAM_CHANGES } from "./telegram-schema.ts";
import { readToday, type Today } from "./today.ts";

const tags = ["Credentials"];

const create = createRoute({
  method: "post",
  path: "/credentials",
  operationId: "createCredential",
  tags,
  summary: "Connect a mail server or a Telegram bot",
  description:
    "Of a mail server nothing is tried yet: `POST /credentials/{id}/verify` does that. A bot's token is checked, and " +
    "Telegram is told to deliver the bot's updates here; both, or nothing is kept.",
  request: { body: jsonBody(newCredential) },
  responses: {
    201: json(credentialSchema, "The credential"),
    ...problems("invalid", "conflict", "unprocessable", "unavailable"),
  },
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
  responses: {
    200: json(credentialSchema, "The credential"),
    ...problems("invalid", "not_found", "unprocessable", "unavailable"),
  },
});

const remove = createRoute({
  method: "delete",
  path: "/credentials/{id}",
  operationId: "deleteCredential",
  tags,
  summary: "Delete a credential",
  description:
    "Refused while a running or paused campaign sends through it or has mail queued for it. Drafts do not count: " +
    "they have to name another before they are activated. Telegram is told to deliver a bot's updates no longer; if that " +
    "fails, the log says so.",
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
export function credentialRoutes(deps: {
  encryptionKey: Buffer;
  bots: Bots;
  answerWithinMs: number;
  now: () => Date;
}): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();
  const present = (db: Db, customerId: string, credential: Credential | null) =>
    presentWithToday(db, customerId, credential, deps.now());
  const seal = (customerId: string, id: string, password: string | null) =>
    sealSecret(deps.encryptionKey, `${customerId}/${id}`, password ?? "");

  routes.openapi(create, async (c) => {
    const { customerId } = c.var;
    const body = c.req.valid("json");
    if (body.type === "telegram") {
      const created = await deps.bots.connect(c.var.db, customerId, body);
      return c.json(presentBot(await findBot(c.var.db, customerId, created)), 201);
    }
    const { type, name, password, ses: given, ...rest } = body;
    const { ses, secret: awsSecret } = splitAwsSecret(given, null);
    const settings = { ...rest, ses };
    refusePasswordWithoutUsername(settings.username, password !== null);
    const id = newId();
    const secret = seal(customerId, id, password);
    const created = await inTransaction(c.var.db, async (db) => {
      await insertCredential(db, customerId, { id, name, settings, secret });
      await saveAwsSecret(db, deps.encryptionKey, customerId, id, awsSecret ?? null);
      return await findCredential(db, customerId, id);
    });
    return c.json(await present(c.var.db, customerId, created), 201);
  });

  routes.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const page = toPage(await selectCredentials(c.var.db, c.var.customerId, { limit, cursor }), limit);
    const servers = page.items.filter((item) => item.type === "smtp");
    const today = await readToday(c.var.db, c.var.customerId, servers, deps.now().getTime());
    const items = page.items.map((item) =>
      item.type === "telegram" ? presentBot(item) : withToday(item, today),
    );
    return c.json({ ...page, items }, 200);
  });

  routes.openapi(read, async (c) => {
    const { db, customerId } = c.var;
    const { id } = c.req.valid("param");
    const bot = await findBot(db, customerId, id);
    if (bot !== null) return c.json(presentBot(bot), 200);
    return c.json(await present(db, customerId, await findCredential(db, customerId, id)), 200);
  });

  routes.openapi(change, async (c) => {
    const { id } = c.req.valid("param");
    const { customerId } = c.var;
    const body = c.req.valid("json");
    if ((await findBot(c.var.db, customerId, id)) !== null) {
      refuseFields(body, (field) => !TELEGRAM_CHANGES.includes(field), "a Telegram bot");
      await deps.bots.change(c.var.db, customerId, id, body);
      return c.json(presentBot(await findBot(c.var.db, customerId, id)), 200);
    }
    const { name, password, botToken: _, ses: given, ...settings } = body;
    const changed = await inTransaction(c.var.db, async (db) => {
      const existing = await lockCredential(db, customerId, id);
      if (existing === null) throw noSuchCredential();
      refuseFields(body, (field) => field === "botToken", "a mail server");
      const present = existing.settings.ses;
      const { ses, secret: awsSecret } =
        given === undefined ? { ses: present, secret: undefined } : splitAwsSecret(given, present);
      const merged = smtpSettings.parse({ ...existing.settings, ...settings, ses });
      const hasPassword = password === undefined ? existing.hasPassword : password !== null;
      refusePasswordWithoutUsername(merged.username, hasPassword);
      const secret = password === undefined ? null : seal(customerId, id, password);
      await saveCredential(db, customerId, { id, name: name ?? existing.name, settings: merged, secret });
      if (awsSecret !== undefined || !merged.ses?.aws)
        await saveAwsSecret(db, deps.encryptionKey, customerId, id, awsSecret ?? null);
      return await findCredential(db, customerId, id);
    });
    return c.json(await present(c.var.db, customerId, changed), 200);
  });

  routes.openapi(remove, async (c) => {
    const { id } = c.req.valid("param");
    const { customerId } = c.var;
    if ((await findBot(c.var.db, customerId, id)) !== null) {
      await deps.bots.disconnect(c.var.db, customerId, id);
      return c.body(null, 204);
    }
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

async function presentWithToday(db: Db, customerId: string, credential: Credential | null, now: Date) {
  if (credential === null) throw noSuchCredential();
  return withToday(credential, await readToday(db, customerId, [credential], now.getTime()));
}

function withToday(credential: Credential, days: ReadonlyMap<string, Today>) {
  const { settings, ...rest } = credential;
  const today = days.get(credential.id);
  if (today === undefined) throw new Error("every credential has a day");
  const { day, schedule, sent, ceiling, hold } = today;
  return {
    ...rest,
    ...settings,
    today: { day, timeZone: schedule.timeZone, sent, ceiling },
    hold: hold === null ? null : { reason: hold.reason, until: new Date(hold.untilMs).toISOString() },
    createdAt: rest.createdAt.toISOString(),
    updatedAt: rest.updatedAt.toISOString(),
  };
}

function presentBot(bot: Bot | null) {
  if (bot === null) throw noSuchCredential();
  const { settings, ...rest } = bot;
  return {
    ...rest,
    ...settings,
    createdAt: rest.createdAt.toISOString(),
    updatedAt: rest.updatedAt.toISOString(),
  };
}

/** Refuses what a credential of this type has not. */
function refuseFields(body: object, isRefused: (field: string) => boolean, type: string): void {
  const fields = Object.keys(body).filter(isRefused);
  if (fields.length > 0)
    throw invalid(fields.map((field) => ({ field, reason: `is not a field of ${type}` })));
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
