import { createLogger, type Logger } from "../logger.ts";
import { type RunningServer, startServer } from "../serve.ts";
import { type Command, parseOptions } from "./command.ts";
import { firstScreen } from "./first-screen.ts";

const DRAIN_DEADLINE_MS = 25_000;
const SAME_REQUEST_MS = 1_000;

export const serve: Command = {
  summary: "run EDGR (the default)",
  help: `Usage: edgr serve

Runs EDGR until Ctrl-C or SIGTERM, which let it finish what it has accepted; a second Ctrl-C ends it at once.
Configured by environment variables: PORT, HOST, EDGR_DATA_DIR, EDGR_PUBLIC_URL, EDGR_API_KEY, DATABASE_URL,
EDGR_TRUSTED_PROXIES, EDGR_SPOOL_MAX_MIB, LOG_LEVEL.

Examples:
  npx edgr serve
  PORT=8080 HOST=0.0.0.0 EDGR_PUBLIC_URL=https://edgr.example.com npx edgr serve`,

  async run(args, terminal) {
    parseOptions(args, {}, 0);
    const stop = watchForStop();
    const config = terminal.config();
    const logger = createLogger(config.logLevel);
    const server = await startServer(config, logger);
    terminal.print(firstScreen(config, server));
    const reason = await Promise.race([stop.requested, server.lost.then(() => "lost" as const)]);
    if (reason === "lost") logger.fatal("the embedded database has stopped by itself; EDGR stops too");
    else logger.info("stopping");
    const drained = await drain(server, stop.forced, logger);
    return drained && reason !== "lost" ? 0 : 1;
  },
};

async function drain(server: RunningServer, forced: Promise<void>, logger: Logger): Promise<boolean> {
  const deadline = Promise.withResolvers<void>();
  const timer = setTimeout(deadline.resolve, DRAIN_DEADLINE_MS);
  const drained = await Promise.race([
    server.stop().then(() => true),
    Promise.race([forced, deadline.promise]).then(() => false),
  ]);
  clearTimeout(timer);
  if (drained) return true;
  logger.error("stopped before everything was finished");
  await server.kill();
  return false;
}

/**
 * A stop can be asked for by a signal, by `bin/edgr.js` on behalf of a signal of its own, or by its death. One
 * Ctrl-C may arrive on two of these ways, so what follows within a second is the same request; a later one forces.
 */
function watchForStop(): { requested: Promise<void>; forced: Promise<void> } {
  const requested = Promise.withResolvers<void>();
  const forced = Promise.withResolvers<void>();
  let firstAt: number | null = null;
  const ask = () => {
    firstAt ??= performance.now();
    requested.resolve();
    if (performance.now() - firstAt > SAME_REQUEST_MS) forced.resolve();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, ask);
  process.on("message", ask);
  process.once("disconnect", () => requested.resolve());
  return { requested: requested.promise, forced: forced.promise };
}
