import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:net";
import { certificate } from "../../test/support/certificate.ts";
import { createEgress, type Egress, type Request } from "./client.ts";
import type { Resolve } from "./resolve.ts";

const BODY_LIMIT = 16_384;

let plain: http.Server;
let secure: https.Server;
let silent: Server;
let connections = 0;
let received: { method: string; host: string; body: string; type: string }[] = [];
/** What names lead to, and how often each was asked for. */
let names: { [host: string]: string[] } = {};
let asked = 0;

const resolve: Resolve = async (host) => {
  asked += 1;
  const addresses = names[host];
  if (addresses === undefined) throw Object.assign(new Error("not found"), { code: "ENOTFOUND" });
  return addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
};

const egress = createEgress({ allow: ["127.0.0.1"], resolve, ca: certificate.cert });
const guarded = createEgress({ allow: [], resolve });

beforeAll(async () => {
  const answer: http.RequestListener = (request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += String(chunk);
    });
    request.on("end", () => {
      const { method = "", headers, url = "" } = request;
      received.push({ method, host: headers.host ?? "", body, type: headers["content-type"] ?? "" });
      behave(url, response);
    });
  };
  plain = http.createServer(answer);
  secure = https.createServer(certificate, answer);
  silent = createServer((socket) => socket.write("SSH-2.0-OpenSSH\r\n"));
  for (const server of [plain, secure, silent]) {
    server.on("connection", () => {
      connections += 1;
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  }
});

afterAll(() => {
  egress.close();
  guarded.close();
  for (const server of [plain, secure]) server.closeAllConnections();
  for (const server of [plain, secure, silent]) server.close();
});

beforeEach(() => {
  connections = 0;
  received = [];
  asked = 0;
  names = { "hooks.example.com": ["127.0.0.1"], "other.example.com": ["127.0.0.1"] };
});

function behave(url: string, response: http.ServerResponse): void {
  if (url === "/redirect") response.writeHead(302, { Location: "http://127.0.0.1/" }).end();
  else if (url === "/hang") return;
  else if (url === "/drip") drip(response);
  else if (url === "/endless") response.end("x".repeat(200_000));
  else if (url === "/reset") response.socket?.resetAndDestroy();
  else if (url === "/half")
    response.writeHead(200, { "Content-Length": "1000" }).write("half", () => response.socket?.destroy());
  else if (url === "/close") response.writeHead(200, { Connection: "close" }).end("ok");
  else response.writeHead(200, { "X-Answer": "42" }).end(`{"ok":true}`);
}

function drip(response: http.ServerResponse): void {
  const timer = setInterval(() => response.write("a"), 5);
  response.on("close", () => clearInterval(timer));
}

const port = (server: http.Server | https.Server | Server) => (server.address() as AddressInfo).port;
const at = (path: string) => `http://hooks.example.com:${port(plain)}${path}`;

function send(url: string, change: Partial<Request> = {}, through: Egress = egress) {
  return through.send({
    url,
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: `{"a":1}`,
    deadlineMs: 5_000,
    maxBodyBytes: BODY_LIMIT,
    ...change,
  });
}

describe("a request", () => {
  test("arrives as it was meant, and its answer comes back whole", async () => {
    const result = await send(at("/"));
    expect(result).toMatchObject({ ok: true, status: 200, isTruncated: false, address: "127.0.0.1" });
    expect(result.ok && result.body.toString()).toBe(`{"ok":true}`);
    expect(result.ok && result.headers["x-answer"]).toBe("42");
    expect(received).toEqual([
      { method: "POST", host: `hooks.example.com:${port(plain)}`, body: `{"a":1}`, type: "application/json" },
    ]);
    expect(result.timings.firstByteMs).toBeGreaterThanOrEqual(0);
  });

  test("can't name another host than its address does", async () => {
    await send(at("/"), { headers: { Host: "internal.example.com" } });
    expect(received[0]?.host).toBe(`hooks.example.com:${port(plain)}`);
  });

  test("follows no redirect", async () => {
    expect(await send(at("/redirect"))).toMatchObject({ ok: true, status: 302 });
    expect(received).toHaveLength(1);
  });

  test("uses a connection again, and a new one where the old one was closed", async () => {
    await send(at("/"));
    const opened = connections;
    await send(at("/"));
    expect(connections).toBe(opened);
    plain.closeAllConnections();
    expect(await send(at("/"))).toMatchObject({ ok: true, status: 200 });
  });
});

describe("TLS", () => {
  const secureUrl = (host: string) => `https://${host}:${port(secure)}/`;

  test("is spoken with the name that was asked for", async () => {
    const result = await send(secureUrl("hooks.example.com"));
    expect(result).toMatchObject({ ok: true, status: 200 });
    expect(result.timings.tlsMs).toBeGreaterThan(0);
  });

  test("a certificate for another name is refused, and nothing is sent", async () => {
    expect(await send(secureUrl("other.example.com"))).toMatchObject({ ok: false, failure: "tls" });
    expect(received).toEqual([]);
  });

  test("a certificate that nobody vouches for is refused", async () => {
    const trusting = createEgress({ allow: ["127.0.0.1"], resolve });
    expect(await send(secureUrl("hooks.example.com"), {}, trusting)).toMatchObject({
      ok: false,
      failure: "tls",
    });
    trusting.close();
  });
});

describe("the deadline covers everything", () => {
  test.each([
    ["/hang", "There was no answer within 0.15 seconds."],
    ["/drip", "There was no complete answer within 0.15 seconds."],
  ])("%s", async (path, reason) => {
    const result = await send(at(path), { deadlineMs: 150 });
    expect(result).toMatchObject({ ok: false, failure: "timeout", reason });
  });

  test("a name server that does not answer", async () => {
    const stuck = createEgress({ allow: [], resolve: () => new Promise(() => {}) });
    const result = await send("http://hooks.example.com/", { deadlineMs: 50 }, stuck);
    expect(result).toMatchObject({
      ok: false,
      failure: "timeout",
      reason: "There was no connection within 0.05 seconds.",
    });
    stuck.close();
  });
});

describe("an answer", () => {
  test("is read up to the limit", async () => {
    const result = await send(at("/endless"));
    expect(result).toMatchObject({ ok: true, status: 200, isTruncated: true });
    expect(result.ok && result.body.length).toBe(BODY_LIMIT);
  });

  test.each(["/reset", "/half"])("that breaks off (%s) is a lost connection", async (path) => {
    expect(await send(at(path))).toMatchObject({ ok: false, failure: "lost" });
  });

  test("that is not HTTP is told apart", async () => {
    const result = await send(`http://hooks.example.com:${port(silent)}/`, { deadlineMs: 1_000 });
    expect(result).toMatchObject({ ok: false, failure: "protocol" });
  });

  test("nobody gives is a failed connection, a name nobody knows a failed look-up", async () => {
    const closed = createServer();
    await new Promise<void>((done) => closed.listen(0, "127.0.0.1", done));
    const free = port(closed);
    await new Promise((done) => closed.close(done));
    expect(await send(`http://hooks.example.com:${free}/`)).toMatchObject({ ok: false, failure: "connect" });
    expect(await send("http://nowhere.example.com/")).toMatchObject({ ok: false, failure: "dns" });
  });
});

describe("what is not public", () => {
  test("is not connected to by its address, and no name is asked for", async () => {
    const result = await send(`http://127.0.0.1:${port(plain)}/`, {}, guarded);
    expect(result).toMatchObject({ ok: false, failure: "refused" });
    expect({ connections, asked }).toEqual({ connections: 0, asked: 0 });
  });

  test.each([
    ["alone", ["127.0.0.1"]],
    ["beside a public address", ["93.184.216.34", "127.0.0.1"]],
    ["in IPv6's clothes", ["::ffff:127.0.0.1"]],
    ["nowhere", []],
  ])("is not connected to through a name that leads there %s", async (_, addresses) => {
    names["hooks.example.com"] = addresses;
    const result = await send("http://hooks.example.com/", {}, guarded);
    expect(result).toMatchObject({ ok: false, failure: "refused" });
    expect(connections).toBe(0);
  });

  test("is not connected to by a name that changes its mind between the check and the connection", async () => {
    const answers = [["93.184.216.34"], ["127.0.0.1"]];
    const rebinding = createEgress({
      allow: [],
      resolve: async () => (answers.shift() ?? ["127.0.0.1"]).map((address) => ({ address, family: 4 })),
    });
    const url = "http://rebinding.example.com/";
    expect(await rebinding.refusal(url)).toBeNull();
    expect(await send(url, {}, rebinding)).toMatchObject({ ok: false, failure: "refused" });
    expect(connections).toBe(0);
    rebinding.close();
  });

  test("is told before it is saved", async () => {
    names["hooks.example.com"] = ["10.0.0.7"];
    expect(await guarded.refusal("http://hooks.example.com/")).toBe(
      "leads to 10.0.0.7, which is in a private network and not public",
    );
    expect(await guarded.refusal("http://nowhere.example.com/")).toBe(
      "leads to nowhere.example.com, which can't be found",
    );
    expect(await guarded.refusal("http://93.184.216.34/")).toBeNull();
  });
});
