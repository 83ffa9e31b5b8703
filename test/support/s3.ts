import http from "node:http";
import type { AddressInfo } from "node:net";

export type S3StandIn = {
  endpoint: string;
  /** By `bucket/key`. */
  objects: Map<string, S3Object>;
  /** Every request, as `METHOD bucket/key by access key`. */
  asked: string[];
  close(): Promise<void>;
};

export type S3Object =
  | { body: Buffer; metadata?: Record<string, string> }
  | { status: number; code: string }
  /** Sends and sends, and says nowhere how much it is. */
  | { endless: true };

/** One S3 on loopback that gives objects to whoever signs as anybody. Close it in `afterAll`. */
export async function startS3(): Promise<S3StandIn> {
  const objects = new Map<string, S3Object>();
  const asked: string[] = [];
  const server = http.createServer((request, response) => {
    const name = decodeURIComponent(new URL(request.url ?? "/", "http://s3").pathname.slice(1));
    const by = /Credential=([^/]+)\//.exec(request.headers.authorization ?? "")?.[1] ?? "nobody";
    asked.push(`${request.method} ${name} by ${by}`);
    answer(response, objects.get(name) ?? { status: 404, code: "NoSuchKey" });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${portOf(server.address())}`,
    objects,
    asked,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(response: http.ServerResponse, object: S3Object): void {
  if ("endless" in object) {
    const chunk = Buffer.alloc(64 * 1024);
    const more = () => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on("drain", more);
    more();
  } else if ("status" in object) {
    response.writeHead(object.status, { "Content-Type": "application/xml" });
    response.end(`<?xml version="1.0"?><Error><Code>${object.code}</Code><Message>no</Message></Error>`);
  } else {
    const metadata = Object.entries(object.metadata ?? {}).map(([name, value]) => [
      `x-amz-meta-${name}`,
      value,
    ]);
    response.writeHead(200, { "Content-Length": object.body.length, ...Object.fromEntries(metadata) });
    response.end(object.body);
  }
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address.port;
}
