import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { createTestApp, type TestApp } from "../../test/support/app.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { deliverDeps } from "../../test/support/delivering.ts";
import { type DnsServer, startDnsServer } from "../../test/support/dns-server.ts";
import { INNER, NAMES, NO_PLACE, PORTS, PUBLIC, THIS_MACHINE } from "../../test/support/hostile-urls.ts";
import type { Db } from "../storage/pool.ts";
import { attemptDelivery } from "../webhooks/deliver.ts";
import { endpointRoutes } from "../webhooks/endpoint-routes.ts";
import { testRoutes } from "../webhooks/test-routes.ts";
import { createEgress, type Egress } from "./client.ts";
import { createIsOpened } from "./opened.ts";
import { resolveBySystem } from "./resolve.ts";

const OPENED = "127.0.0.1";
const REQUESTS = 1_000;
const AT_ONCE = 50;

type Trap = { port: number; server: Server; hasIPv6: boolean };

let trap: Trap;
let caught: string[] = [];
let dns: DnsServer;
/** As an installation that opened nothing has it, and one that opened everything: it shows that the trap catches. */
let guarded: Egress;
let reckless: Egress;

beforeAll(async () => {
  trap = await setTrap();
  dns = await startDnsServer();
  for (const [, name, records] of NAMES) dns.set(name, records);
  dns.set("public.test", [PUBLIC]);
  guarded = createEgress({ allow: [], resolve: dns.resolve });
  reckless = createEgress({ allow: ["0.0.0.0/0", "::/0"], resolve: dns.resolve });
});

afterAll(() => {
  guarded.close();
  reckless.close();
  dns.close();
  trap.server.close();
});

afterEach(() => {
  caught = [];
});

/** Listens on every address of this machine, at the first of the ports of public servers that nobody has. */
async function setTrap(): Promise<Trap> {
  for (const host of ["::", "0.0.0.0"]) {
    for (const port of [8080, 8443, 80, 443]) {
      const server = createServer(catchConnection);
      const isMine = await listen(server, port, host);
      if (isMine) return { port, server, hasIPv6: host === "::" };
    }
  }
  throw new Error("Each of the ports 8080, 8443, 80 and 443 is in use");
}

function catchConnection(socket: Socket): void {
  caught.push(socket.localAddress ?? "");
  socket.on("error", () => {});
  socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
}

async function listen(server: Server, port: number, host: string): Promise<boolean> {
  const listening = once(server, "listening");
  server.listen({ port, host });
  return await listening.then(
    () => true,
    () => false,
  );
}

const at = (form: string) => form.replace("{port}", String(trap.port));

function send(url: string, through = guarded) {
  return through.send({
    url,
    method: "POST",
    headers: {},
    body: "{}",
    deadlineMs: 5_000,
    maxBodyBytes: 100,
  });
}

describe("no connection is made", () => {
  test.each(THIS_MACHINE)("to this machine by %j, where one that opened everything gets", async (form) => {
    expect(await guarded.refusal(at(form))).toEndWith("and not public");
    expect(await send(at(form))).toMatchObject({ ok: false, failure: "refused", address: null });
    expect(caught).toEqual([]);
    await send(at(form), reckless);
    expect(caught).toHaveLength(trap.hasIPv6 || !form.includes("[") ? 1 : 0);
  });

  test.each(INNER)("to what is not public by %s", async (form) => {
    expect(await guarded.refusal(at(form))).toEndWith("and not public");
    expect(await send(at(form))).toMatchObject({ ok: false, failure: "refused", address: null });
    expect(caught).toEqual([]);
  });

  test.each(NO_PLACE)("by %j, which is no address to call", async (form) => {
    expect(await guarded.refusal(at(form))).toBeString();
    for (const egress of [guarded, reckless])
      expect(await send(at(form), egress)).toMatchObject({ ok: false, failure: "refused" });
    expect(caught).toEqual([]);
  });

  test.each(PORTS)("to a port that is none of a public server by %s", async (url) => {
    expect(await guarded.refusal(url)).toContain("only 80, 443, 8080, 8443 may be called");
    expect(await send(url)).toMatchObject({ ok: false, failure: "refused", address: null });
  });

  test.each(NAMES)("to %s by its name (%s: %j)", async (host) => {
    const url = `http://${host}:${trap.port}/`;
    expect(await guarded.refusal(url)).toMatch(/and not public$|can't be found$/);
    const result = await send(url);
    expect(result.ok ? "sent" : result.failure).toMatch(/^(refused|dns)$/);
    expect(caught).toEqual([]);
  });

  test.each(["localhost", "localhost.", "LocalHost", "ｌｏｃａｌｈｏｓｔ"])(
    "to %s as the system resolves it",
    async (host) => {
      const egress = createEgress({ allow: [], resolve: resolveBySystem });
      const url = `http://${host}:${trap.port}/`;
      expect(await egress.refusal(url)).toMatch(/and not public$|can't be found$/);
      expect(await send(url, egress)).toMatchObject({ ok: false });
      expect(caught).toEqual([]);
      egress.close();
    },
  );
});

describe("a name that changes what it leads to", () => {
  let opened: http.Server;
  let others: Server[] = [];
  let port = 0;
  let received = 0;
  /** One address is opened; at the same port of two that are not, something waits too. */
  let egress: Egress;
  const NOT_OPENED = ["::1", "127.0.0.2"];

  beforeAll(async () => {
    opened = http.createServer((request, response) => {
      received += 1;
      const connection = request.url === "/keep" ? "keep-alive" : "close";
      response.writeHead(200, { Connection: connection }).end("ok");
    });
    opened.listen(0, OPENED);
    await once(opened, "listening");
    const address = opened.address();
    port = typeof address === "object" ? (address?.port ?? 0) : 0;
    for (const host of NOT_OPENED) {
      const server = createServer(catchConnection);
      if (await listen(server, port, host)) others.push(server);
    }
    expect(others).not.toBeEmpty();
    egress = createEgress({ allow: [OPENED], resolve: dns.resolve });
  });

  afterAll(() => {
    egress.close();
    opened.close();
    for (const server of others) server.close();
    others = [];
  });

  test("between the check and the request is not followed to where it leads then", async () => {
    dns.set("rebinding.test", (turn) => [turn === 0 ? OPENED : "::1"]);
    const url = `http://rebinding.test:${port}/`;
    expect(await egress.refusal(url)).toBeNull();
    expect(await send(url, egress)).toMatchObject({ ok: false, failure: "refused" });
    expect(caught).toEqual([]);
  });

  test("after it was looked up for a request has no effect on that request", async () => {
    dns.set("rebinding.test", (turn) => [turn === 0 ? OPENED : "::1"]);
    const result = await send(`http://rebinding.test:${port}/`, egress);
    expect(result).toMatchObject({ ok: true, status: 200, address: OPENED });
    expect(dns.asked("rebinding.test")).toBe(1);
    expect(caught).toEqual([]);
  });

  test(`at every one of ${REQUESTS} requests is called where it leads to what is opened, and nowhere else`, async () => {
    const answers = [[OPENED], ["::1"], ["127.0.0.2"], [OPENED, "::1"], ["127.0.0.2", OPENED]];
    dns.set("alternating.test", (turn) => answers[turn % answers.length] ?? []);
    received = 0;
    const ends: { [end: string]: number } = {};
    for (let sent = 0; sent < REQUESTS; sent += AT_ONCE) {
      const requests = Array.from({ length: AT_ONCE }, () =>
        send(`http://alternating.test:${port}/`, egress),
      );
      for (const result of await Promise.all(requests)) {
        const end = result.ok ? `ok from ${result.address}` : result.failure;
        ends[end] = (ends[end] ?? 0) + 1;
      }
    }
    expect(ends).toEqual({ [`ok from ${OPENED}`]: REQUESTS / 5, refused: (REQUESTS * 4) / 5 });
    expect(received).toBe(REQUESTS / 5);
    expect(dns.asked("alternating.test")).toBe(REQUESTS);
    expect(caught).toEqual([]);
  });

  test("is called on the connection that was kept, and when that is gone looked up and checked again", async () => {
    dns.set("kept.test", [OPENED]);
    const url = `http://kept.test:${port}/keep`;
    expect(await send(url, egress)).toMatchObject({ ok: true });
    dns.set("kept.test", ["::1"]);
    expect(await send(url, egress)).toMatchObject({ ok: true, address: OPENED });
    expect(dns.asked("kept.test")).toBe(0);
    opened.closeAllConnections();
    expect(await send(url, egress)).toMatchObject({ ok: false, failure: "refused" });
    expect(dns.asked("kept.test")).toBe(1);
    expect(caught).toEqual([]);
  });

  test("or has two addresses of which one is opened is not called", async () => {
    for (const records of [
      [OPENED, "::1"],
      [OPENED, PUBLIC],
      ["127.0.0.2", OPENED],
    ]) {
      dns.set("mixed.test", records);
      const url = `http://mixed.test:${port}/`;
      expect(await egress.refusal(url)).toBeString();
      expect(await send(url, egress)).toMatchObject({ ok: false, failure: "refused" });
    }
    expect(caught).toEqual([]);
  });
});

describe("an answer that sends elsewhere", () => {
  test.each([300, 301, 302, 303, 307, 308])("with %d is taken as it is", async (status) => {
    const server = http.createServer((_, response) =>
      response
        .writeHead(status, {
          Location: `http://127.0.0.1:${trap.port}/`,
          Refresh: `0; url=http://127.0.0.1:${trap.port}/`,
          "Alt-Svc": `http/1.1="127.0.0.1:${trap.port}"`,
        })
        .end(),
    );
    server.listen(0, OPENED);
    await once(server, "listening");
    const address = server.address();
    const egress = createEgress({ allow: [OPENED], resolve: dns.resolve });
    const port = typeof address === "object" ? address?.port : 0;
    for (let round = 0; round < 2; round += 1)
      expect(await send(`http://${OPENED}:${port}/`, egress)).toMatchObject({ ok: true, status });
    expect(caught).toEqual([]);
    egress.close();
    server.close();
  });
});

describe("the API", () => {
  let api: TestApp;
  const PATH = "/api/v1/webhooks/endpoints";

  beforeAll(async () => {
    const isOpened = createIsOpened({ allow: [], resolve: dns.resolve });
    const deps = { egress: guarded, isOpened, encryptionKey: TEST_ENCRYPTION_KEY, randomBytes };
    const attempt = (db: Db, customerId: string, id: string) =>
      attemptDelivery(deliverDeps(db, guarded), customerId, id);
    api = await createTestApp([
      endpointRoutes(deps),
      testRoutes({ publicUrl: "https://edgr.example.com", now: () => new Date(), attempt }),
    ]);
  });
  afterAll(() => api.close());

  const hosts = NAMES.filter(([, , records]) => records !== "silence").map(
    ([host]) => `https://${host}:{port}/`,
  );

  test.each(["custom", "slack", "discord"])(
    "saves none of these for %s, and says of each why",
    async (type) => {
      for (const form of [...THIS_MACHINE, ...INNER, ...NO_PLACE, ...PORTS, ...hosts]) {
        const url = at(form);
        const { status, body } = await api.call("POST", PATH, { body: { type, url } });
        const reason = await guarded.refusal(url);
        expect([url, status, body.errors]).toEqual([url, 400, [{ field: "url", reason: String(reason) }]]);
      }
      expect(caught).toEqual([]);
    },
  );

  test("changes no endpoint to one of these", async () => {
    const url = "https://public.test/hook";
    const { body } = await api.call("POST", PATH, { body: { type: "custom", url } });
    for (const form of [...THIS_MACHINE, ...hosts]) {
      const answer = await api.call("PATCH", `${PATH}/${body.id}`, { body: { url: at(form) } });
      expect([form, answer.status, answer.body.errors[0]?.field]).toEqual([form, 400, "url"]);
    }
    expect((await api.call("GET", `${PATH}/${body.id}`)).body.url).toBe(url);
    expect(caught).toEqual([]);
  });

  test("sends no example to an endpoint whose name leads to an inner address since it was saved", async () => {
    for (const host of ["moved.test", "moved6.test"]) {
      const inner = host === "moved.test" ? "127.0.0.1" : "::1";
      dns.set(host, (turn) => [turn === 0 ? PUBLIC : inner]);
      const url = at(`https://${host}:{port}/`);
      const created = await api.call("POST", PATH, { body: { type: "custom", url } });
      expect(created.status).toBe(201);
      const { status, body } = await api.call("POST", `${PATH}/${created.body.id}/test`, { body: {} });
      const attempt = { outcome: "failed", failure: "refused", status: null, address: null };
      expect([status, body]).toMatchObject([200, { attempt }]);
    }
    expect(caught).toEqual([]);
  });
});
