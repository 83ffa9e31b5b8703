import { Counter, collectDefaultMetrics, Histogram, Registry } from "prom-client";

export type Metrics = {
  /** @param route the route's pattern, never a path somebody asked for: labels must stay few */
  request(method: string, route: string, status: number, seconds: number): void;
  /** A tracking hit whose token is not ours. */
  badToken(route: string): void;
  /** A tracking hit whose token has expired. */
  lateHit(route: string): void;
  /** A tracking hit that could not be recorded. */
  lostHit(route: string): void;
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
  return {
    request: (method, route, status, seconds) => requests.observe({ method, route, status }, seconds),
    badToken: (route) => hits.inc({ route, reason: "bad_token" }),
    lateHit: (route) => hits.inc({ route, reason: "late" }),
    lostHit: (route) => hits.inc({ route, reason: "lost" }),
    registry,
  };
}
