import { Readable } from "node:stream";
import type { AwsKeys } from "../../credentials/aws.ts";
import { type AwsRequest, type AwsResponse, AwsTooLong, createAwsHandler } from "../../egress/aws.ts";
import type { Egress } from "../../egress/client.ts";

export type Fetched =
  | { ok: true; bytes: Buffer }
  /** `isFinal`: trying again would find the same. */
  | { ok: false; reason: string; isFinal: boolean };

/** @param signal gives up before the deadline */
export type FetchObject = (
  keys: AwsKeys,
  object: { bucket: string; key: string },
  signal: AbortSignal,
) => Promise<Fetched>;

const DEADLINE_MS = 60_000;

export type ObjectFetchOptions = {
  egress: Pick<Egress, "send">;
  /** Another origin than Amazon's, for tests and for servers that are like S3; null: Amazon's. */
  endpoint: string | null;
  maxBytes: number;
  now: () => number;
};

/** Fetches what SES has put into S3, by the one way out of EDGR. */
export function createObjectFetch({ egress, endpoint, maxBytes, now }: ObjectFetchOptions): FetchObject {
  return async (keys, { bucket, key }, signal) => {
    // Takes 30 MB and a tenth of a second, which installations without mail in S3 need not spend.
    const { GetObjectCommand, S3Client } = await import("@aws-sdk/client-s3");
    const { region, ...credentials } = keys;
    const handler = createAwsHandler({
      egress,
      trustedOrigin: endpoint,
      until: now() + DEADLINE_MS,
      now,
      deadlineMs: DEADLINE_MS,
      maxBodyBytes: maxBytes,
    });
    const client = new S3Client({
      region,
      credentials,
      maxAttempts: 1,
      requestHandler: { ...handler, handle: (request: AwsRequest) => asStream(handler.handle(request)) },
      ...(endpoint === null ? {} : { endpoint, forcePathStyle: true }),
    });
    try {
      const object = await unlessAborted(
        client.send(new GetObjectCommand({ Bucket: bucket, Key: key })),
        signal,
      );
      if (isSealed(object.Metadata ?? {})) return { ok: false, reason: SEALED, isFinal: true };
      if (object.Body === undefined) return { ok: false, reason: "S3 gave nothing", isFinal: false };
      return { ok: true, bytes: Buffer.from(await object.Body.transformToByteArray()) };
    } catch (error) {
      if (error instanceof AwsTooLong)
        return { ok: false, reason: "it is larger than 40 MiB", isFinal: true };
      const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      return { ok: false, reason: `S3 did not give it: ${reason}`.slice(0, 500), isFinal: false };
    }
  };
}

/** An object's body is a stream to the SDK, whoever made it. */
async function asStream(answer: Promise<{ response: AwsResponse }>) {
  const { response } = await answer;
  return { response: { ...response, body: Readable.from([response.body]) } };
}

async function unlessAborted<Value>(value: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([value, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

const SEALED =
  "SES encrypted it with a KMS key before it put it into S3; let the rule leave that to the bucket";

/** SES encrypts with a KMS key on its side of S3 (protocols 2.6); what that takes to open is in such metadata. */
function isSealed(metadata: { [name: string]: string }): boolean {
  return Object.keys(metadata).some((name) => name.startsWith("x-amz-key"));
}
