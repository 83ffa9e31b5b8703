import { randomBytes } from "node:crypto";
import pino from "pino";
import { assembleApp } from "../../src/app.ts";
import { readConfig } from "../../src/config.ts";
import { createEgress } from "../../src/egress/client.ts";
import { resolveBySystem } from "../../src/egress/resolve.ts";
import { createMetrics } from "../../src/http/metrics.ts";
import type { App } from "../../src/http/server.ts";
import type { HitLog } from "../../src/spool/hit-log.ts";
import { createTokens } from "../../src/tracking/token.ts";
import type { TestDatabase } from "./database.ts";

const unused = async () => {
  throw new Error("nobody clicks here");
};
const nobodyHits: HitLog = {
  append: unused,
  unsubscribe: unused,
  resubscribe: unused,
  status: () => ({
    state: "database",
    reason: null,
    drained: 0,
    events: 0,
    bytes: 0,
    oldestAt: null,
    setAside: 0,
    isFull: false,
  }),
  stop: async () => {},
};

type Own = Partial<Parameters<typeof assembleApp>[0]>;

/** The app as a process has it, with every route and no worker. @param own what is to be other than by default */
export function assembleWholeApp(database: TestDatabase, own: Own = {}): App {
  const signingKeys = [{ kid: "a", secret: randomBytes(32), retired: false }];
  return assembleApp({
    config: readConfig({}, "/"),
    database,
    secrets: { encryptionKey: randomBytes(32), signingKeys },
    tokens: createTokens(signingKeys),
    workers: { hits: nobodyHits, wake: () => {}, wakeDeliveries: () => {}, stop: async () => {} },
    egress: createEgress({ allow: [], resolve: resolveBySystem }),
    trustedEgress: createEgress({ allow: [], resolve: resolveBySystem }),
    metrics: createMetrics(),
    logger: pino({ level: "silent" }),
    ...own,
  });
}

/** Its routes with a parameter in their path, as `GET /contacts/{id}`. */
export async function routesOnOneThing(database: TestDatabase): Promise<string[]> {
  const app = assembleWholeApp(database);
  const answer = await app.fetch(new Request("http://localhost/openapi.json"), { ip: null });
  const { paths }: { paths: Record<string, object> } = await answer.json();
  return Object.entries(paths).flatMap(([path, item]) =>
    path.includes("{")
      ? Object.keys(item).map((method) => `${method.toUpperCase()} ${path.replace("/api/v1", "")}`)
      : [],
  );
}
