import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import type { Socket } from "node:net";
import { FailedLookup } from "./failed-lookup.ts";
import { RefusedAddress } from "./refused-address.ts";
import { type Failure, failed, type Result, type Timings } from "./result.ts";

export type Outgoing = {
  request: (options: RequestOptions) => ClientRequest;
  options: RequestOptions;
  body: string | null;
  deadlineMs: number;
  maxBodyBytes: number;
  isOnce: boolean;
};

/**
 * One request and its answer, within one deadline over everything. A connection that was kept from before may have
 * been closed at the other end meanwhile; when one breaks before anything came back, the request goes out once more
 * on a new one, unless it must not be made twice.
 */
export async function exchange(outgoing: Outgoing): Promise<Result> {
  const begun = performance.now();
  const first = await attempt(outgoing, begun);
  if (first !== "stale") return first;
  return outgoing.isOnce ? failed("lost", REASONS.lost) : freshAttempt(outgoing, begun);
}

async function freshAttempt(outgoing: Outgoing, begun: number): Promise<Result> {
  const result = await attempt({ ...outgoing, options: { ...outgoing.options, agent: false } }, begun);
  return result === "stale" ? failed("lost", REASONS.lost) : result;
}

function attempt(outgoing: Outgoing, begun: number): Promise<Result | "stale"> {
  const { promise, resolve } = Promise.withResolvers<Result | "stale">();
  const elapsed = () => Math.round((performance.now() - begun) * 10) / 10;
  const seen: Seen = {
    socket: null,
    address: null,
    dnsMs: null,
    connectMs: null,
    tlsMs: null,
    firstByteMs: null,
  };
  const request = outgoing.request(outgoing.options);
  const end = (result: Result | "stale") => {
    clearTimeout(deadline);
    resolve(result);
  };
  const fail = (failure: Failure, reason: string) => {
    end(failed(failure, reason, seen.address, timings(seen, elapsed())));
    request.destroy();
  };
  const deadline = setTimeout(
    () => fail("timeout", `There was no ${awaited(seen)} within ${outgoing.deadlineMs / 1000} seconds.`),
    Math.max(0, outgoing.deadlineMs - elapsed()),
  );
  request.on("socket", (socket) => watch(socket, seen, elapsed, request.reusedSocket));
  request.on("error", (error: NodeJS.ErrnoException) => {
    if (request.reusedSocket && seen.firstByteMs === null && isBroken(error)) return end("stale");
    const failure = failureOf(error, seen);
    fail(failure, error instanceof RefusedAddress ? `The address ${error.message}.` : REASONS[failure]);
  });
  // Nobody asked for another protocol.
  request.on("upgrade", () => fail("protocol", REASONS.protocol));
  request.on("response", (response) => {
    seen.firstByteMs = elapsed();
    readBody(response, outgoing.maxBodyBytes).then(
      ({ body, isTruncated }) => {
        end({
          ok: true,
          status: response.statusCode ?? 0,
          headers: headersOf(response),
          body,
          isTruncated,
          address: seen.address,
          timings: timings(seen, elapsed()),
        });
        if (isTruncated) request.destroy();
      },
      () => fail("lost", REASONS.lost),
    );
  });
  request.end(outgoing.body ?? undefined);
  return promise;
}

/** `address`: of the other end; a socket forgets it when it is closed, as it may be before its answer is read. */
type Seen = Omit<Timings, "totalMs"> & { socket: Socket | null; address: string | null };

function watch(socket: Socket, seen: Seen, elapsed: () => number, isReused: boolean): void {
  seen.socket = socket;
  seen.address = socket.remoteAddress ?? null;
  if (isReused) return;
  socket.once("lookup", () => {
    seen.dnsMs = elapsed();
  });
  socket.once("connect", () => {
    seen.connectMs = elapsed();
    seen.address = socket.remoteAddress ?? null;
  });
  socket.once("secureConnect", () => {
    seen.tlsMs = elapsed();
  });
}

function timings({ socket, address, ...seen }: Seen, totalMs: number): Timings {
  return { ...seen, totalMs };
}

function awaited(seen: Seen): string {
  if (seen.firstByteMs !== null) return "complete answer";
  return seen.socket === null || seen.socket.connecting ? "connection" : "answer";
}

function readBody(
  response: IncomingMessage,
  maxBytes: number,
): Promise<{ body: Buffer; isTruncated: boolean }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ body: Buffer; isTruncated: boolean }>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes <= maxBytes) return;
    resolve({ body: Buffer.concat(chunks).subarray(0, maxBytes), isTruncated: true });
  });
  response.on("end", () => resolve({ body: Buffer.concat(chunks), isTruncated: false }));
  response.on("error", reject);
  response.on("close", () => reject(new Error("closed before its end")));
  return promise;
}

function headersOf(response: IncomingMessage): { [name: string]: string } {
  return Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(", ") : (value ?? ""),
    ]),
  );
}

const REASONS: Record<Failure, string> = {
  refused: "The address must not be called.",
  dns: "The server's name can't be found.",
  connect: "Nobody answers at the address.",
  tls: "The server's certificate is not valid for its name, or the TLS handshake failed.",
  timeout: "It took too long.",
  lost: "The connection broke before the answer was complete.",
  protocol: "What came back is not HTTP.",
};

const BROKEN = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED"]);

function isBroken(error: NodeJS.ErrnoException): boolean {
  return BROKEN.has(error.code ?? "");
}

function failureOf(error: NodeJS.ErrnoException, seen: Seen): Failure {
  const code = error.code ?? "";
  if (error instanceof RefusedAddress) return "refused";
  if (error instanceof FailedLookup) return "dns";
  if (/^HPE_/.test(code)) return "protocol";
  if (/CERT|SSL|TLS|SELF_SIGNED|ALTNAME|UNABLE_TO_/.test(code)) return "tls";
  return isBroken(error) || seen.connectMs !== null ? "lost" : "connect";
}
