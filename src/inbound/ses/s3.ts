import type { AwsKeys } from "../../credentials/aws.ts";

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

/**
 * Fetches what SES has put into S3.
 * @param endpoint another than Amazon's, for tests and for servers that are like S3
 */
export function createObjectFetch(endpoint: string | null, maxBytes: number): FetchObject {
  return async (keys, { bucket, key }, signal) => {
    // Takes 30 MB and a tenth of a second, which installations without mail in S3 need not spend.
    const { GetObjectCommand, S3Client } = await import("@aws-sdk/client-s3");
    const { region, ...credentials } = keys;
    const client = new S3Client({
      region,
      credentials,
      maxAttempts: 1,
      ...(endpoint === null ? {} : { endpoint, forcePathStyle: true }),
    });
    try {
      const command = new GetObjectCommand({ Bucket: bucket, Key: key });
      const object = await client.send(command, {
        abortSignal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
      });
      if (isSealed(object.Metadata ?? {})) return { ok: false, reason: SEALED, isFinal: true };
      return await collect(object.Body, maxBytes);
    } catch (error) {
      const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      return { ok: false, reason: `S3 did not give it: ${reason}`.slice(0, 500), isFinal: false };
    } finally {
      client.destroy();
    }
  };
}

const SEALED =
  "SES encrypted it with a KMS key before it put it into S3; let the rule leave that to the bucket";

/** SES encrypts with a KMS key on its side of S3 (protocols 2.6); what that takes to open is in such metadata. */
function isSealed(metadata: { [name: string]: string }): boolean {
  return Object.keys(metadata).some((name) => name.startsWith("x-amz-key"));
}

async function collect(body: unknown, maxBytes: number): Promise<Fetched> {
  if (!isChunks(body)) return { ok: false, reason: "S3 gave nothing", isFinal: false };
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    // Leaving the loop ends the download.
    if (bytes > maxBytes) return { ok: false, reason: "it is larger than 40 MiB", isFinal: true };
    chunks.push(chunk);
  }
  return { ok: true, bytes: Buffer.concat(chunks) };
}

function isChunks(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}
