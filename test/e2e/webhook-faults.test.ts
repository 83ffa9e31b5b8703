import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { sql } from "kysely";
import { createEgress, type Egress, type Request } from "../../src/egress/client.ts";
import type { Deliveries } from "../../src/webhooks/run-deliveries.ts";
import { createCustomer } from "../support/campaigns.ts";
import { certificate, expiredCertificate } from "../support/certificate.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import {
  createEndpoint,
  happen,
  listAttempts,
  listDeliveries,
  startDeliveries,
} from "../support/delivering.ts";
import { type DnsServer, startDnsServer } from "../support/dns-server.ts";
import { until } from "../support/installation.ts";
import {
  BROKEN_OFF,
  type RawBehaviour,
  type RawServer,
  say,
  sayAndClose,
  sayAndDrip,
  sayForEver,
  startRawServer,
} from "../support/raw-server.ts";
import {
  type Behaviour,
  drip,
  endless,
  hang,
  ok,
  type Sink,
  slow,
  startSink,
  status,
} from "../support/sink.ts";

/** Instead of EDGR's own of 15 seconds, where it is the deadline that ends a request. */
const DEADLINE_MS = 600;
/** Of the endpoints here, so that nothing is tried again while somebody looks. */
const RETRY_S = 1_000;
const MAX_BODY = 16_384;

let database: TestDatabase;
let dns: DnsServer;
let sink: Sink;
/** Redirects lead there. */
let inner: RawServer;
let egress: Egress;
let customerId: string;
let requests: Request[];
let worker: Deliveries | null = null;

beforeAll(async () => {
  database = await createTestDatabase();
  dns = await startDnsServer();
  for (const name of ["hooks.example.com", "other.example.com"]) dns.set(name, ["127.0.0.1"]);
  dns.set("silent.example.com", "silence");
  dns.set("inner.example.com", ["10.0.0.1"]);
  sink = await startSink();
  inner = await startRawServer(sayAndClose("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
});

afterAll(async () => {
  inner.close();
  await sink.close();
  dns.close();
  await database.close();
});

beforeEach(async () => {
  customerId = await createCustomer(database.db);
  const ca = `${certificate.cert}\n${expiredCertificate.cert}`;
  egress = createEgress({ allow: ["127.0.0.1"], resolve: dns.resolve, ca });
  requests = [];
});

afterEach(async () => {
  for (const path of ["/", "/0"]) sink.at(path, ok);
  sink.cut();
  await worker?.stop();
  worker = null;
  egress.close();
  sink.received.length = 0;
  await sql`
    update webhook_delivery set status = 'cancelled', due_at = null, finished_at = now() where status = 'pending'`.execute(
    database.db,
  );
});

function work(deadlineMs: number | null = null): void {
  const send = (request: Request) => {
    requests.push(request);
    return egress.send(deadlineMs === null ? request : { ...request, deadlineMs });
  };
  worker = startDeliveries(database.db, { send });
}

type Seen = {
  outcome: string;
  status: number | null;
  failure: string | null;
  reason: string | null;
  address: string | null;
  connectMs: number | null;
  firstByteMs: number | null;
  hasTotal: boolean;
  responseHeaders: { [name: string]: string } | null;
  responseBody: string | null;
  isTruncated: boolean | null;
  /** Of the delivery. */
  state: string;
  /** From the end of the attempt, in tens of seconds. */
  retryInTens: number | null;
  endpoint: string;
  disabledBy: string | null;
  slowedForTens: number | null;
  failures: number;
};

/** What is kept of the one attempt for the customer, and what follows from it. */
async function attemptAt(url: string, deadlineMs: number | null = null): Promise<Seen> {
  const { id, secret } = await createEndpoint(database.db, customerId, url, { retrySchedule: [0, RETRY_S] });
  sink.trust(new URL(url).pathname, secret);
  await happen(database.db, customerId);
  work(deadlineMs);
  await until(async () => (await listAttempts(database.db, customerId))[0]?.isFinished === true);
  await worker?.stop();
  const { rows } = await sql<Seen>`
    select a.outcome, a.status, a.failure, a.reason, a.address, (a.timings ->> 'connectMs')::float as "connectMs",
      (a.timings ->> 'firstByteMs')::float as "firstByteMs", a.timings ->> 'totalMs' is not null as "hasTotal",
      a.response_headers as "responseHeaders", a.response_body as "responseBody", a.is_truncated as "isTruncated",
      d.status as state, round(extract(epoch from d.due_at - a.finished_at) / 10)::int as "retryInTens",
      e.status as endpoint, e.disabled_by as "disabledBy",
      round(extract(epoch from h.slowed_until - a.finished_at) / 10)::int as "slowedForTens",
      h.consecutive_failures as failures
    from webhook_attempt a
    join webhook_delivery d on d.customer_id = a.customer_id and d.id = a.delivery_id
    join webhook_endpoint e on e.customer_id = a.customer_id and e.id = a.endpoint_id
    join webhook_health h on h.customer_id = a.customer_id and h.endpoint_id = a.endpoint_id
    where a.customer_id = ${customerId} and e.id = ${id}`.execute(database.db);
  const [seen] = rows;
  if (seen === undefined || rows.length > 1) throw new Error(`there are ${rows.length} attempts`);
  expect(requests.map(({ deadlineMs, maxBodyBytes }) => [deadlineMs, maxBodyBytes])).toEqual([
    [15_000, MAX_BODY],
  ]);
  expect(sink.received.filter(({ problem }) => problem !== null)).toEqual([]);
  expect(inner.connections()).toBe(0);
  return seen;
}

const DELIVERED = {
  outcome: "delivered",
  failure: null,
  reason: null,
  address: "127.0.0.1",
  state: "delivered",
  retryInTens: null,
  endpoint: "enabled",
  slowedForTens: null,
  failures: 0,
};

/** Tried again by the schedule. */
const FAILED = {
  outcome: "failed",
  address: "127.0.0.1",
  hasTotal: true,
  state: "pending",
  retryInTens: RETRY_S / 10,
  endpoint: "enabled",
  slowedForTens: null,
  failures: 1,
};

const NO_ANSWER = { ...FAILED, status: null, responseHeaders: null, responseBody: null, isTruncated: null };

describe("a server that answers", () => {
  const gzipped = gzipSync("ok");
  const bomb = gzipSync(Buffer.alloc(200_000_000));
  const cases: [name: string, behaviour: Behaviour, seen: object][] = [
    ["200", status(200, { "X-Answer": "42" }, "ok"), { status: 200, responseBody: "ok", isTruncated: false }],
    ["204", status(204), { status: 204, responseBody: "" }],
    ["299", status(299), { status: 299 }],
    ["slowly, and in time", slow(DEADLINE_MS / 4), { status: 200, responseBody: "ok" }],
    [
      "compressed, which is not unpacked",
      (response) => void response.writeHead(200, { "Content-Encoding": "gzip" }).end(gzipped),
      { status: 200, responseHeaders: expect.objectContaining({ "content-encoding": "gzip" }) },
    ],
    [
      "with a body without end, of which the begin is kept",
      endless,
      { status: 200, responseBody: "x".repeat(MAX_BODY), isTruncated: true },
    ],
    [
      "with a bomb, of which the begin is kept",
      (response) => void response.writeHead(200, { "Content-Encoding": "gzip" }).end(bomb),
      { status: 200, isTruncated: true },
    ],
  ];

  test.each(cases)("%s has got it", async (_, behaviour, seen) => {
    sink.at("/", behaviour);
    expect(await attemptAt(sink.url("/"))).toMatchObject({ ...DELIVERED, ...seen });
    expect(sink.received).toHaveLength(1);
  });

  test("after any number of interim answers has got it", async () => {
    const interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    const text = `HTTP/1.1 100 Continue\r\n\r\n${interim.repeat(3)}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`;
    const seen = await atRaw(sayAndClose(text));
    expect(seen).toMatchObject({ ...DELIVERED, status: 200, responseBody: "ok" });
  });

  const to = (location: string) => status(302, { Location: location });
  test.each<[string, () => Behaviour, object]>([
    ["302 to elsewhere", () => to(inner.url), { status: 302 }],
    ["307 to elsewhere", () => status(307, { Location: inner.url }), { status: 307 }],
    ["302 to itself", () => to("/"), { status: 302 }],
    ["304", () => status(304), { status: 304 }],
    ["400", () => status(400, {}, "no"), { status: 400, responseBody: "no" }],
    ["401", () => status(401), { status: 401 }],
    ["404", () => status(404), { status: 404 }],
    ["413", () => status(413), { status: 413 }],
    ["500", () => status(500, {}, "oops"), { status: 500, responseBody: "oops" }],
    ["500 without end", () => endless500, { status: 500, isTruncated: true }],
    ["503", () => status(503), { status: 503 }],
    ["502", () => status(502), { status: 502, slowedForTens: 6 }],
    ["504", () => status(504), { status: 504, slowedForTens: 6 }],
  ])("%s is asked again by the schedule", async (_, behaviour, seen) => {
    sink.at("/", behaviour());
    const found = await attemptAt(sink.url("/"));
    expect(found).toMatchObject({ ...FAILED, failure: `http_${found.status}`, ...seen });
    expect(found.reason).toStartWith(`The server answered ${found.status}`);
    expect(sink.received).toHaveLength(1);
  });

  test.each<[string, Behaviour, object]>([
    ["429 with Retry-After: 3600", status(429, { "Retry-After": "3600" }), { retryInTens: 360, failures: 0 }],
    [
      "503 with Retry-After: 3600",
      status(503, { "Retry-After": "3600" }),
      { status: 503, retryInTens: 360, failures: 1 },
    ],
  ])("%s is left alone for an hour, also with other events", async (_, behaviour, seen) => {
    sink.at("/", behaviour);
    const found = await attemptAt(sink.url("/"));
    expect(found).toMatchObject({ ...FAILED, slowedForTens: 360, ...seen });
    await happen(database.db, customerId, 3);
    work();
    await lookedAgain();
    expect(sink.received.filter(({ path }) => path === "/")).toHaveLength(1);
  });

  test("429 with a longer Retry-After than a delivery gets old is asked no more for it", async () => {
    sink.at("/", status(429, { "Retry-After": String(6 * 86_400) }));
    expect(await attemptAt(sink.url("/"))).toMatchObject({ outcome: "failed", state: "failed" });
  });

  test.each<[string, Behaviour, object]>([
    ["410", status(410), { outcome: "failed", status: 410, state: "pending" }],
    [
      "200 with webhook-delivery: disable",
      status(200, { "Webhook-Delivery": "disable" }),
      { outcome: "delivered", status: 200, state: "delivered" },
    ],
    [
      "500 with webhook-delivery: disable",
      status(500, { "Webhook-Delivery": "disable" }),
      { outcome: "failed", status: 500, state: "pending" },
    ],
  ])("%s is told nothing more", async (_, behaviour, seen) => {
    sink.at("/", behaviour);
    const found = await attemptAt(sink.url("/"));
    expect(found).toMatchObject({ ...seen, endpoint: "disabled", disabledBy: "gone" });
    await happen(database.db, customerId);
    work();
    await lookedAgain();
    expect(sink.received.filter(({ path }) => path === "/")).toHaveLength(1);
  });

  test("500 with webhook-delivery: abort-message is not sent that message again, and others are", async () => {
    sink.at("/", status(500, { "Webhook-Delivery": "abort-message" }));
    const found = await attemptAt(sink.url("/"));
    expect(found).toMatchObject({ outcome: "failed", state: "failed", endpoint: "enabled", failures: 0 });
    sink.at("/", status(200));
    await happen(database.db, customerId);
    work();
    await sink.until(2);
  });
});

const endless500: Behaviour = (response) => void response.writeHead(500).end("x".repeat(100_000));

/** Resolves when the worker has delivered to another endpoint what happened just now. */
async function lookedAgain(): Promise<void> {
  await createEndpoint(database.db, customerId, sink.url("/witness"));
  await happen(database.db, customerId);
  worker?.wake();
  await until(async () => sink.received.some(({ path }) => path === "/witness"));
}

async function atRaw(behaviour: RawBehaviour, deadlineMs: number | null = null): Promise<Seen> {
  const server = await startRawServer(behaviour);
  try {
    return await attemptAt(server.url, deadlineMs);
  } finally {
    server.close();
  }
}

describe("the deadline ends what", () => {
  test.each<[string, Behaviour, string]>([
    ["hangs", hang, "answer"],
    ["answers too late", slow(DEADLINE_MS * 10), "answer"],
    ["drips its body", drip(20), "complete answer"],
  ])("%s", async (_, behaviour, awaited) => {
    sink.at("/", behaviour);
    const seen = await attemptAt(sink.url("/"), DEADLINE_MS);
    expect(seen).toMatchObject({ ...NO_ANSWER, failure: "timeout" });
    expect(seen.reason).toStartWith(`There was no ${awaited} within ${DEADLINE_MS / 1_000} seconds.`);
    expect(seen.connectMs).toBeNumber();
  });

  test.each<[string, RawBehaviour]>([
    ["says nothing", () => {}],
    ["drips its status line", sayAndDrip("HTTP/1.1 200 O", 20)],
    ["drips its headers", sayAndDrip("HTTP/1.1 200 OK\r\nX-A: ", 20)],
    ["drips a body of a known length", sayAndDrip("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", 20)],
    ["stops in its headers", say("HTTP/1.1 200 OK\r\nX-Half: ")],
    ["stops in its body", say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")],
    ["stops in a chunk of unbelievable length", say(`HTTP/1.1 200 OK\r\n${CHUNKED}ffffffffffffff\r\nhalf`)],
    ["says for ever that it goes on", sayForEver("", "HTTP/1.1 100 Continue\r\n\r\n", 5)],
  ])("%s", async (_, behaviour) => {
    expect(await atRaw(behaviour, DEADLINE_MS)).toMatchObject({ ...NO_ANSWER, failure: "timeout" });
  });
});

const CHUNKED = "Transfer-Encoding: chunked\r\n\r\n";

describe("a connection that breaks off", () => {
  test.each(Object.entries(BROKEN_OFF))("by %s is lost, and tried again", async (_, behaviour) => {
    const server = await startRawServer(behaviour);
    expect(await attemptAt(server.url)).toMatchObject({ ...NO_ANSWER, failure: "lost" });
    expect(server.connections()).toBe(1);
    server.close();
  });
});

describe("what is no HTTP", () => {
  test.each<[string, RawBehaviour]>([
    ["SSH", say("SSH-2.0-OpenSSH_9.2\r\n")],
    ["a mail server", say("220 mail.example.com ESMTP\r\n")],
    ["TLS", say("\x15\x03\x01\x00\x02\x02\x16")],
    ["HTTP/0.9", sayAndClose("<html>ok</html>")],
    ["HTTP/2", say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")],
    [
      "another protocol than was asked for",
      say("HTTP/1.1 101 Switching\r\nUpgrade: a\r\nConnection: Upgrade\r\n\r\n"),
    ],
    ["a header of 200 kB", sayAndClose(`HTTP/1.1 200 OK\r\nX: ${"a".repeat(200_000)}\r\n\r\n`)],
    ["a header without end", sayForEver("HTTP/1.1 200 OK\r\nX: ", "a".repeat(65_536), 0)],
    ["headers without end", sayForEver("HTTP/1.1 200 OK\r\n", "X-A: b\r\n".repeat(5_000), 0)],
    ["a length that is none", sayAndClose("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nok")],
    ["two lengths", sayAndClose("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nok")],
    [
      "a length and chunks",
      sayAndClose(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${CHUNKED}2\r\nok\r\n0\r\n\r\n`),
    ],
    ["a chunk that is none", sayAndClose(`HTTP/1.1 200 OK\r\n${CHUNKED}zz\r\nok\r\n`)],
  ])("%s is said to be none, and tried again", async (_, behaviour) => {
    expect(await atRaw(behaviour)).toMatchObject({ ...NO_ANSWER, failure: "protocol" });
  });
});

describe("a server that can't be reached", () => {
  test.each<[string, { tls?: typeof certificate; host: string }]>([
    ["whose certificate is for another name", { tls: certificate, host: "other.example.com" }],
    ["whose certificate has expired", { tls: expiredCertificate, host: "hooks.example.com" }],
    ["that speaks no TLS", { host: "hooks.example.com" }],
  ])("safely, %s, gets nothing", async (_, options) => {
    const secure = await startSink(options);
    const seen = await attemptAt(secure.url("/").replace("http:", "https:"));
    expect(seen).toMatchObject({ ...NO_ANSWER, failure: "tls" });
    expect(secure.received).toEqual([]);
    await secure.close();
  });

  test("safely, whose certificate nobody vouches for, gets nothing", async () => {
    egress.close();
    egress = createEgress({ allow: ["127.0.0.1"], resolve: dns.resolve });
    const secure = await startSink({ tls: certificate, host: "hooks.example.com" });
    expect(await attemptAt(secure.url("/"))).toMatchObject({ ...NO_ANSWER, failure: "tls" });
    expect(secure.received).toEqual([]);
    await secure.close();
  });

  test("because nobody listens is tried again", async () => {
    const server = await startRawServer(() => {});
    server.close();
    expect(await attemptAt(server.url)).toMatchObject({ ...NO_ANSWER, failure: "connect", address: null });
  });

  test.each([
    ["its name is unknown", "nowhere.example.com", "dns"],
    ["its name server is dead", "silent.example.com", "timeout"],
    ["its name leads to an inner address", "inner.example.com", "refused"],
  ])("because %s is tried again", async (_, host, failure) => {
    const seen = await attemptAt(`https://${host}/`, failure === "timeout" ? DEADLINE_MS : null);
    expect(seen).toMatchObject({ ...NO_ANSWER, failure, address: null, connectMs: null });
  });
});

describe("a real TLS server", () => {
  test("gets it, and how long each step took is kept", async () => {
    const secure = await startSink({ tls: certificate, host: "hooks.example.com" });
    const seen = await attemptAt(secure.url("/"));
    expect(seen).toMatchObject({ ...DELIVERED, status: 200 });
    const { rows } = await sql<{ timings: { [step: string]: number } }>`
      select timings from webhook_attempt where customer_id = ${customerId}`.execute(database.db);
    const { dnsMs = -1, connectMs = -1, tlsMs = -1, firstByteMs = -1, totalMs = -1 } = rows[0]?.timings ?? {};
    const steps = [dnsMs, connectMs, tlsMs, firstByteMs, totalMs];
    expect(steps).toEqual(steps.toSorted((one, other) => one - other));
    expect(dnsMs).toBeGreaterThanOrEqual(0);
    await secure.close();
  });
});

describe("one dead endpoint among a hundred", () => {
  const ENDPOINTS = 100;
  const EVENTS = 20;

  test.each<[string, Behaviour]>([
    ["hangs", hang],
    ["drips", drip(50)],
  ])(
    "that %s holds no more than is its own, and all the others get everything meanwhile",
    async (_, dead) => {
      sink.at("/0", dead);
      const ids: string[] = [];
      for (let number = 0; number < ENDPOINTS; number += 1) {
        const { id, secret } = await createEndpoint(database.db, customerId, sink.url(`/${number}`));
        sink.trust(`/${number}`, secret);
        ids.push(id);
      }
      await happen(database.db, customerId, EVENTS);
      // Longer than the test runs: what the dead one has in hand, it keeps.
      work(300_000);
      const ofOthers = async () =>
        (await listDeliveries(database.db, customerId)).filter(({ endpointId }) => endpointId !== ids[0]);
      await until(async () => (await ofOthers()).every((delivery) => delivery.status === "delivered"));
      const reached = sink.received.filter(({ path }) => path === "/0").length;
      expect(reached).toBe(10);
      const attempts = await listAttempts(database.db, customerId);
      expect(attempts.filter(({ outcome }) => outcome === "running")).toHaveLength(10);
      expect(attempts.filter(({ outcome }) => outcome === "failed")).toEqual([]);
      expect(sink.received).toHaveLength((ENDPOINTS - 1) * EVENTS + reached);
      expect(sink.received.filter(({ problem }) => problem !== null)).toEqual([]);
    },
    60_000,
  );
});
