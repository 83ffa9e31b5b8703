import { createRoute, OpenAPIHono, type z } from "@hono/zod-openapi";
import { selectSettings } from "../credentials/queries.ts";
import { readToday } from "../credentials/today.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { idParams } from "../http/fields.ts";
import { json, problems } from "../http/openapi.ts";
import type { Db } from "../storage/pool.ts";
import { noSuchCampaign } from "./activate.ts";
import { countsOf, estimateFinishMs, type Line, PACE_MS, perSecond, sumOf } from "./progress.ts";
import {
  findCampaignStatus,
  selectLastDue,
  selectPaces,
  sumTallies,
  type Tally,
} from "./progress-queries.ts";
import { progress } from "./progress-schema.ts";

type Progress = z.infer<typeof progress>;

const read = createRoute({
  method: "get",
  path: "/campaigns/{id}/progress",
  operationId: "getProgress",
  tags: ["Campaigns"],
  summary: "Get how far a campaign's sending is",
  description: "Read from counters that are kept with every message: cheap enough to ask for every second.",
  request: { params: idParams },
  responses: { 200: json(progress, "How far it is"), ...problems("invalid", "not_found") },
});

export function progressRoutes(deps: { now: () => Date }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();

  routes.openapi(read, async (c) => {
    const campaign = { customerId: c.var.customerId, campaignId: c.req.valid("param").id };
    return c.json(await readProgress(c.var.db, campaign, deps.now().getTime()), 200);
  });

  return routes;
}

async function readProgress(
  db: Db,
  campaign: { customerId: string; campaignId: string },
  nowMs: number,
): Promise<Progress> {
  const status = await findCampaignStatus(db, campaign);
  if (status === null) throw noSuchCampaign();
  const tallies = await sumTallies(db, campaign);
  const paces = await selectPaces(db, campaign, new Date(nowMs - PACE_MS));
  const rates = new Map(paces.map((pace) => [pace.credentialId, perSecond(pace, nowMs)]));
  const queued = tallies.filter((tally) => tally.status === "queued");
  const { lines, held } = await readLines(db, campaign, queued, rates, nowMs);
  const finish = status === "active" && lines !== null ? estimateFinishMs(lines, nowMs) : null;
  const putOff = (reason: Tally["postponedReason"]) =>
    sumOf(queued.filter(({ postponedReason }) => postponedReason === reason));
  return {
    status,
    ...countsOf(tallies),
    postponed: {
      quietHours: putOff("quiet_hours"),
      frequencyCap: putOff("frequency_cap"),
      deferred: putOff("deferred"),
      sendWindow: held.send_window,
      warmUp: held.warm_up,
    },
    ratePerMinute: Math.round([...rates.values()].reduce((sum, rate) => sum + rate, 0) * 600) / 10,
    secondsLeft: finish === null ? null : Math.ceil((finish - nowMs) / 1_000),
    finishesAt: finish === null ? null : new Date(finish).toISOString(),
  };
}

/** What is queued, by credential; no lines at all when one of the credentials is gone. */
async function readLines(
  db: Db,
  campaign: { customerId: string; campaignId: string },
  queued: readonly Tally[],
  rates: ReadonlyMap<string, number>,
  nowMs: number,
): Promise<{ lines: Line[] | null; held: { send_window: number; warm_up: number } }> {
  const held = { send_window: 0, warm_up: 0 };
  const ids = [...new Set(queued.map(({ credentialId }) => credentialId))];
  if (ids.length === 0) return { lines: [], held };
  const credentials = await selectSettings(db, campaign.customerId, ids);
  const days = await readToday(db, campaign.customerId, credentials, nowMs);
  const lastDue = await selectLastDue(db, campaign, ids);
  const lines: Line[] = [];
  for (const { id, settings } of credentials) {
    const today = days.get(id);
    if (today === undefined) continue;
    const mine = queued.filter(({ credentialId }) => credentialId === id);
    const ready = sumOf(mine.filter(({ postponedReason }) => postponedReason === null));
    if (today.hold !== null) held[today.hold.reason] += ready;
    lines.push({
      queued: sumOf(mine),
      ready,
      perSecond: rates.get(id) ?? 0,
      limitPerSecond: settings.rateLimitPerSecond,
      schedule: today.schedule,
      sentToday: today.sent,
      lastDueMs: lastDue.get(id)?.getTime() ?? nowMs,
    });
  }
  return { lines: lines.length === ids.length ? lines : null, held };
}
