import { Gauge, type Registry } from "prom-client";
import { within } from "../spool/failover.ts";
import { BACKLOG_LIMITS, type Backlog } from "./metrics-queries.ts";

export type EndpointMetricsDeps = {
  /** Asked when somebody looks at the metrics, once for all of them and never twice at the same time. */
  read: () => Promise<Backlog[]>;
  /** How long whoever looks waits for that. */
  answerWithinMs: number;
  log: { warn(details: object, message: string): void };
};

/**
 * Gauges of what waits for each endpoint. Where that can't be read they are left out, and the other metrics, which
 * somebody needs just then, are shown all the same.
 */
export function watchEndpoints(registry: Registry, deps: EndpointMetricsDeps): void {
  const { read, answerWithinMs, log } = deps;
  let reading: Promise<Backlog[]> | null = null;
  let looking: Promise<Backlog[]> | null = null;

  async function look(): Promise<Backlog[]> {
    try {
      reading ??= read().finally(() => {
        reading = null;
      });
      return await within(reading, answerWithinMs);
    } catch (error) {
      log.warn({ err: error }, "webhooks: what waits for the endpoints could not be read");
      return [];
    } finally {
      looking = null;
    }
  }

  const gauge = (name: string, help: string, pick: (backlog: Backlog) => number) =>
    new Gauge({
      name: `edgr_webhook_${name}`,
      help,
      labelNames: ["customer", "endpoint"],
      registers: [registry],
      async collect() {
        looking ??= look();
        const backlogs = await looking;
        this.reset();
        for (const backlog of backlogs) {
          this.set({ customer: backlog.customerId, endpoint: backlog.endpointId }, pick(backlog));
        }
      },
    });
  gauge(
    "pending",
    `Deliveries that wait, counted up to ${BACKLOG_LIMITS.counted}, and less far where they wait for many endpoints`,
    ({ pending }) => pending,
  );
  gauge(
    "oldest_pending_seconds",
    "How long the oldest delivery has been waiting",
    ({ oldestPendingS }) => oldestPendingS,
  );
  gauge("endpoint_disabled", "1 when nothing is sent to the endpoint any more", ({ isDisabled }) =>
    isDisabled ? 1 : 0,
  );
}
