import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** What hits wait on disk for the database, and what came of those before. */
export type SpoolNumbers = {
  events: number;
  bytes: number;
  oldestAt: Date | null;
  setAside: number;
  drained: number;
};

export type Metrics = {
  /** @param route the route's pattern, never a path somebody asked for: labels must stay few */
  request(method: string, route: string, status: number, seconds: number): void;
  /** A tracking hit whose token is not ours. */
  badToken(route: string): void;
  /** A tracking hit whose token has expired. */
  lateHit(route: string): void;
  /** A tracking hit that could not be recorded. */
  lostHit(route: string): void;
  /** A request of Amazon SNS, and what became of it. */
  sesRequest(outcome: string): void;
  /** What was told in them, by what became of it. */
  sesFacts(counts: Readonly<Record<string, number>>): void;
  /** What Telegram posted, by what became of it. */
  telegramUpdates(counts: Readonly<Record<string, number>>): void;
  /** An attempt to deliver a webhook, by the endpoint's type. */
  webhookAttempt(type: string, outcome: string, seconds: number): void;
  /** @param read asked for each time somebody looks at the metrics */
  watchSpool(read: () => SpoolNumbers): void;
  registry: Registry;
};

/** Counters of one process, with the process's own; a registry of its own, so that two apps can live side by side. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Histogram({
    name: "edgr_http_request_duration_seconds",
    help: "Requests of the API and the pages, by route and status",
    labelNames: ["method", "route", "status"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const hits = new Counter({
    name: "edgr_tracking_hits_not_recorded_total",
    help: "Tracking hits that recorded nothing, by route and reason",
    labelNames: ["route", "reason"],
    registers,
  });
  const sesRequests = new Counter({
    name: "edgr_ses_requests_total",
    help: "Requests of Amazon SNS, by outcome",
    labelNames: ["outcome"],
    registers,
  });
  const sesFacts = new Counter({
    name: "edgr_ses_facts_total",
    help: "What Amazon SES told, by what became of it",
    labelNames: ["result"],
    registers,
  });
  const telegramUpdates = new Counter({
    name: "edgr_telegram_updates_total",
    help: "Updates of Telegram, by what became of them",
    labelNames: ["result"],
    registers,
  });
  const webhookAttempts = new Counter({
    name: "edgr_webhook_attempts_total",
    help: "Attempts to deliver a webhook, by the endpoint's type and outcome",
    labelNames: ["type", "outcome"],
    registers,
  });
  const webhookSeconds = new Histogram({
    name: "edgr_webhook_attempt_seconds",
    help: "How long an attempt to deliver a webhook took, by the endpoint's type",
    labelNames: ["type"],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15],
    registers,
  });
  return {
    request: (method, route, status, seconds) => requests.observe({ method, route, status }, seconds),
    badToken: (route) => hits.inc({ route, reason: "bad_token" }),
    lateHit: (route) => hits.inc({ route, reason: "late" }),
    lostHit: (route) => hits.inc({ route, reason: "lost" }),
    sesRequest: (outcome) => sesRequests.inc({ outcome }),
    sesFacts: (counts) => {
      for (const [result, count] of Object.entries(counts)) sesFacts.inc({ result }, count);
    },
    telegramUpdates: (counts) => {
      for (const [result, count] of Object.entries(counts)) telegramUpdates.inc({ result }, count);
    },
    webhookAttempt: (type, outcome, seconds) => {
      webhookAttempts.inc({ type, outcome });
      webhookSeconds.observe({ type }, seconds);
    },
    watchSpool: (read) => watchSpool(registry, read),
    registry,
  };
}

function watchSpool(registry: Registry, read: () => SpoolNumbers): void {
  const registers = [registry];
  const gauge = (name: string, help: string, pick: (numbers: SpoolNumbers) => number) =>
    new Gauge({
      name: `edgr_spool_${name}`,
      help,
      registers,
      collect() {
        this.set(pick(read()));
      },
    });
  gauge("events", "Hits that wait on disk for the database", ({ events }) => events);
  gauge("bytes", "What the spool takes on the disk", ({ bytes }) => bytes);
  gauge(
    "set_aside",
    "Spooled hits that the database refused, kept with the reason",
    ({ setAside }) => setAside,
  );
  gauge("oldest_age_seconds", "How long the oldest spooled hit has been waiting", ({ oldestAt }) =>
    oldestAt === null ? 0 : (Date.now() - oldestAt.getTime()) / 1000,
  );
  new Counter({
    name: "edgr_spool_drained_total",
    help: "Hits moved from the spool into the database",
    registers,
    collect() {
      this.reset();
      this.inc(read().drained);
    },
  });
}
