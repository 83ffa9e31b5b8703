import type { Egress } from "./client.ts";
import type { Failure } from "./result.ts";

/** A request as the AWS SDK hands it to its HTTP handler. */
export type AwsRequest = {
  method: string;
  protocol: string;
  hostname: string;
  port?: number | undefined;
  path: string;
  query?: { [name: string]: string | readonly string[] | null } | undefined;
  headers: { [name: string]: string };
  body?: unknown;
};

export type AwsResponse = { statusCode: number; headers: { [name: string]: string }; body: Uint8Array };

/** What the AWS SDK takes as `requestHandler`. */
export type AwsHandler = {
  handle(request: AwsRequest): Promise<{ response: AwsResponse }>;
  updateHttpClientConfig(): void;
  httpHandlerConfigs(): object;
};

export type AwsHandlerOptions = {
  egress: Pick<Egress, "send">;
  /** Where a stand-in for AWS is, such as `http://127.0.0.1:4566`; null: only AWS itself is called. */
  trustedOrigin: string | null;
  /** When all that is asked has to be answered, by this clock: later requests are not sent. */
  until: number;
  now: () => number;
  /** Of one request and its answer. */
  deadlineMs?: number;
  maxBodyBytes?: number;
};

const DEADLINE_MS = 10_000;
const MAX_BODY_BYTES = 1024 ** 2;
const HOST = /^[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.(com|com\.cn|eu)$/;
const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;

/** Sends what the AWS SDK signs through the one way out of EDGR, and to nobody but AWS. */
export function createAwsHandler(options: AwsHandlerOptions): AwsHandler {
  const { egress, trustedOrigin, until, now } = options;
  const { deadlineMs = DEADLINE_MS, maxBodyBytes = MAX_BODY_BYTES } = options;
  return {
    async handle(request) {
      const method = METHODS.find((known) => known === request.method);
      const origin = originOf(request);
      const isAws =
        request.protocol === "https:" && request.port === undefined && HOST.test(request.hostname);
      if (method === undefined || (!isAws && origin !== trustedOrigin))
        throw new AwsUnreachable("refused", `${request.method} ${origin} is no request to AWS.`);
      const leftMs = until - now();
      if (leftMs <= 0) throw new AwsUnreachable("refused", "The time for all requests together is over.");
      const result = await egress.send({
        url: `${origin}${request.path}${queryOf(request)}`,
        method,
        headers: request.headers,
        body: textOf(request.body),
        deadlineMs: Math.min(deadlineMs, leftMs),
        maxBodyBytes,
      });
      if (!result.ok) throw new AwsUnreachable(result.failure, result.reason);
      if (result.isTruncated) throw new AwsTooLong();
      return { response: { statusCode: result.status, headers: result.headers, body: result.body } };
    },
    updateHttpClientConfig() {},
    httpHandlerConfigs: () => ({}),
  };
}

const PASSING: readonly Failure[] = ["connect", "timeout", "lost"];

/** AWS can't be asked. `reason` is a sentence. */
export class AwsUnreachable extends Error {
  readonly reason: string;

  constructor(failure: Failure, reason: string) {
    super(reason);
    // The SDK tries again, with pauses that grow at random, after what has this name.
    this.name = PASSING.includes(failure) ? "TimeoutError" : "AwsUnreachable";
    this.reason = reason;
  }
}

/** More came than `maxBodyBytes`. */
export class AwsTooLong extends AwsUnreachable {
  constructor() {
    super("protocol", "The answer is too long.");
  }
}

function originOf({ protocol, hostname, port }: AwsRequest): string {
  return `${protocol}//${hostname}${port === undefined ? "" : `:${port}`}`;
}

function queryOf({ query = {} }: AwsRequest): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    [value ?? ""].flat().map((each) => `${encode(name)}=${encode(each)}`),
  );
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

// As Signature Version 4 has it: RFC 3986, which encodeURIComponent falls short of by these.
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function textOf(body: unknown): string | null {
  if (body === undefined || body === null || typeof body === "string") return body ?? null;
  if (body instanceof Uint8Array) return Buffer.from(body).toString("utf8");
  throw new AwsUnreachable("refused", "A body that is a stream is not sent.");
}
