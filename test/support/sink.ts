import { once } from "node:events";
import http, { type ServerResponse } from "node:http";
import https from "node:https";
import { Webhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";

/** A request that came in completely, answered or not. */
export type Received = {
  path: string;
  headers: { [name: string]: string };
  body: string;
  /** `webhook-id` and `webhook-timestamp`; empty without. */
  id: string;
  timestamp: string;
  /** Why its signature is not good for the secret of its path, by `standardwebhooks` or `svix`; null when it is. */
  problem: string | null;
};

/** What is done with a request. */
export type Behaviour = (response: ServerResponse, received: Received) => void;

export type Sink = {
  port: number;
  url(path: string): string;
  /** In the order in which they came. */
  received: Received[];
  /** How often somebody connected. */
  connections(): number;
  /** What is done at a path from now on; everywhere else the answer is 200 and `ok`. */
  at(path: string, behaviour: Behaviour): void;
  /** The secret with which requests to a path are signed; none are verified without. */
  trust(path: string, secret: string): void;
  /** Resolves when that many requests have come in. */
  until(count: number): Promise<void>;
  /** Cuts off every connection that is open. */
  cut(): void;
  close(): Promise<void>;
};

export type SinkOptions = {
  port?: number;
  /** Speaks TLS with this certificate. */
  tls?: { key: string; cert: string };
  /** What stands before the port in its URLs. */
  host?: string;
};

/** A real HTTP(S) server on loopback that takes webhooks, verifies them, and behaves as it is told. */
export async function startSink({ port = 0, tls, host = "127.0.0.1" }: SinkOptions = {}): Promise<Sink> {
  const received: Received[] = [];
  const behaviours = new Map<string, Behaviour>();
  const secrets = new Map<string, string>();
  let waiting: { count: number; resolve: () => void }[] = [];
  let connections = 0;

  const listener: http.RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    // Whoever is cut off in the middle of a request has not made one.
    request.on("error", () => {});
    response.on("error", () => {});
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const path = request.url ?? "";
      const one = read(path, request.headers, Buffer.concat(chunks).toString(), secrets.get(path));
      received.push(one);
      (behaviours.get(path) ?? ok)(response, one);
      for (const { count, resolve } of waiting) if (received.length >= count) resolve();
      waiting = waiting.filter(({ count }) => received.length < count);
    });
  };
  const server = tls === undefined ? http.createServer(listener) : https.createServer(tls, listener);
  server.on("connection", () => {
    connections += 1;
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The sink has no port");
  const origin = `${tls === undefined ? "http" : "https"}://${host}:${address.port}`;

  return {
    port: address.port,
    url: (path) => origin + path,
    received,
    connections: () => connections,
    at: (path, behaviour) => void behaviours.set(path, behaviour),
    trust: (path, secret) => void secrets.set(path, secret),
    until: (count) =>
      received.length >= count
        ? Promise.resolve()
        : new Promise((resolve) => waiting.push({ count, resolve })),
    cut: () => server.closeAllConnections(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function read(
  path: string,
  given: http.IncomingHttpHeaders,
  body: string,
  secret: string | undefined,
): Received {
  const headers = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, String(value)]));
  return {
    path,
    headers,
    body,
    id: headers["webhook-id"] ?? "",
    timestamp: headers["webhook-timestamp"] ?? "",
    problem: secret === undefined ? null : problemOf(secret, headers, body),
  };
}

/**
 * What receivers do who use a library, under either of its headers' names.
 * @throws what the library throws
 */
export function verifyWithLibraries(
  request: Pick<Received, "headers" | "body"> | undefined,
  secret: string,
): void {
  if (request === undefined) throw new Error("There was no request");
  const { headers, body } = request;
  new Webhook(secret).verify(body, headers);
  new SvixWebhook(secret).verify(body, headers);
  const svixNames = Object.entries(headers).map(([name, value]) => [
    name.replace("webhook-", "svix-"),
    value,
  ]);
  new SvixWebhook(secret).verify(body, Object.fromEntries(svixNames));
}

function problemOf(secret: string, headers: { [name: string]: string }, body: string): string | null {
  try {
    verifyWithLibraries({ headers, body }, secret);
    return null;
  } catch (error) {
    return String(error);
  }
}

export const ok: Behaviour = (response) => void response.writeHead(200).end("ok");

export function status(code: number, headers: { [name: string]: string } = {}, body = ""): Behaviour {
  return (response) => void response.writeHead(code, headers).end(body);
}

/** Accepts the request and never answers it. */
export const hang: Behaviour = () => {};

export function slow(ms: number): Behaviour {
  return (response, received) => void setTimeout(() => ok(response, received), ms);
}

/** The body comes a byte at a time, for ever. */
export function drip(everyMs: number): Behaviour {
  return (response) => {
    response.writeHead(200, { "Content-Type": "text/plain" });
    const timer = setInterval(() => response.write("a"), everyMs);
    response.on("close", () => clearInterval(timer));
  };
}

/** The body comes as fast as it is read, for ever. */
export const endless: Behaviour = (response) => {
  const block = Buffer.alloc(65_536, "x");
  const more = () => {
    while (!response.destroyed && response.write(block));
  };
  response.on("drain", more);
  response.writeHead(200);
  more();
};
