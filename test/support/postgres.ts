import { readFile } from "node:fs/promises";
import path from "node:path";
import { startEmbedded } from "../../src/storage/embedded.ts";

/** A PostgreSQL of a test's own, which it can end under EDGR in every way and start again on the same data. */
export type Postgres = {
  url: string;
  pid: number;
  stop(): Promise<void>;
  /** `kill -9`; resolves when nothing of it answers any more. */
  kill(): Promise<void>;
};

export async function startPostgres(dataDir: string): Promise<Postgres> {
  const server = await startEmbedded({
    dataDir,
    purpose: "serve",
    settings: { fsync: "off" },
    onLost: () => {},
  });
  const url = new URL("postgres:///edgr");
  url.searchParams.set("host", server.connection.host ?? "");
  url.searchParams.set("user", server.connection.user ?? "");
  if (server.connection.port !== undefined) url.searchParams.set("port", String(server.connection.port));
  const pid = Number.parseInt(await readFile(path.join(dataDir, "postgres/postmaster.pid"), "utf8"), 10);
  return {
    url: url.href,
    pid,
    stop: server.stop,
    // Without its postmaster every other process of it ends by itself.
    kill: async () => void process.kill(pid, "SIGKILL"),
  };
}
