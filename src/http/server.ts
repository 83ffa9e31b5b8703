import { createServer } from "node:net";
import { AppError } from "../errors.ts";
import type { Bindings } from "./env.ts";
import { MAX_FILE_BYTES } from "./file-body.ts";

export type App = { fetch(request: Request, bindings: Bindings): Response | Promise<Response> };

export type HttpServer = {
  /** Takes no new connection and answers what has been asked, for `drainMs` at most; then every connection closes. */
  stop(drainMs: number): Promise<void>;
};

export type Address = { host: string; port: number };

// The largest file; whoever reads another body stops at a limit of its own.
const MAX_BODY_BYTES = MAX_FILE_BYTES;
const IDLE_TIMEOUT_SECONDS = 30;

/**
 * Serves the app until it is stopped.
 * @throws AppError, a sentence for a person, when the address cannot be listened on
 */
export function listen(app: App, { host, port }: Address): HttpServer {
  const server = serve(app, { host, port });
  return {
    async stop(drainMs) {
      const timer = setTimeout(() => server.stop(true), drainMs);
      await server.stop();
      clearTimeout(timer);
    },
  };
}

function serve(app: App, { host, port }: Address) {
  try {
    return Bun.serve({
      hostname: host,
      port,
      maxRequestBodySize: MAX_BODY_BYTES,
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      fetch: (request, bun) => app.fetch(request, { ip: bun.requestIP(request)?.address ?? null }),
    });
  } catch (error) {
    throw cannotListen({ host, port }, error);
  }
}

/**
 * The port that will be listened on, found before anything is started: a free one when it is 0.
 * @throws AppError, a sentence for a person, when the address cannot be listened on
 */
export function findPort({ host, port }: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on("error", (error) => reject(cannotListen({ host, port }, error)));
    probe.listen(port, host, () => {
      const address = probe.address();
      const found = typeof address === "object" && address !== null ? address.port : port;
      probe.close(() => resolve(found));
    });
  });
}

function cannotListen({ host, port }: Address, error: unknown): AppError {
  const code = error instanceof Error && "code" in error ? error.code : null;
  const where = `EDGR cannot listen on ${host}:${port}`;
  if (code === "EADDRINUSE")
    return new AppError("unavailable", `${where}: another program does already. Set PORT to another port.`);
  if (code === "EACCES")
    return new AppError(
      "unavailable",
      `${where}: ports under 1024 need more rights. Set PORT to another port.`,
    );
  const reason = error instanceof Error ? error.message : String(error);
  return new AppError("unavailable", `${where} (${reason}). Check HOST and PORT.`);
}
