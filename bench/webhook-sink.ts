// A server of its own process that takes webhooks and verifies each signature: `bun webhook-sink.ts <port>`.
import http from "node:http";
import { Webhook } from "standardwebhooks";
import { z } from "zod";

export type SinkStats = {
  received: number;
  /** Whose signature is not good for the secret of their path. */
  wrong: number;
  /** Different ids. */
  distinct: number;
};

const secrets = new Map<string, Webhook>();
const seen = new Set<string>();
let received = 0;
let wrong = 0;

const server = http.createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks).toString();
    if (request.url === "/stats") {
      const stats: SinkStats = { received, wrong, distinct: seen.size };
      return response.end(JSON.stringify(stats));
    }
    if (request.url === "/secrets") {
      const given = z.record(z.string(), z.string()).parse(JSON.parse(body));
      for (const [path, secret] of Object.entries(given)) secrets.set(path, new Webhook(secret));
      return response.end();
    }
    take(request, body);
    response.end("ok");
  });
});

function take({ url = "", headers }: http.IncomingMessage, body: string): void {
  received += 1;
  seen.add(`${url} ${headers["webhook-id"]}`);
  try {
    const given = Object.entries(headers).map(([name, value]) => [name, String(value)]);
    secrets.get(url)?.verify(body, Object.fromEntries(given));
    if (!secrets.has(url)) wrong += 1;
  } catch {
    wrong += 1;
  }
}

server.listen(Number(process.argv[2]), "127.0.0.1");
