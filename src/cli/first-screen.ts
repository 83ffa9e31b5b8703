import type { Config } from "../config.ts";
import { describeDatabase } from "../storage/open.ts";
import { alignColumns } from "./columns.ts";

const LOOPBACK = ["127.0.0.1", "::1", "localhost"];

/** What a person sees when EDGR has started. No secret is in it. */
export function firstScreen(
  config: Config,
  server: { url: string; publicUrl: string; hasApiKey: boolean | null },
): string {
  const rows = [
    ["Address", server.url],
    ["API docs", `${server.url}/docs`],
    ["API key", describeApiKey(server.hasApiKey)],
    ["Data", config.dataDir],
    ["Database", config.databaseUrl === null ? "embedded PostgreSQL" : describeDatabase(config.databaseUrl)],
    ["Links", `begin with ${server.publicUrl} (EDGR_PUBLIC_URL)`],
  ];
  if (LOOPBACK.includes(config.host)) rows.push(["Network", "this machine only; HOST=0.0.0.0 opens it"]);
  if (server.hasApiKey === null)
    rows.push(["Now", "the database does not answer: hits are kept on disk until it does"]);
  rows.push(["Stop", "Ctrl-C"]);
  return `EDGR is running.\n\n${alignColumns(rows).replace(/^/gm, "  ")}\n`;
}

function describeApiKey(hasApiKey: boolean | null): string {
  if (hasApiKey === null) return "known when the database answers";
  return hasApiKey ? "npx edgr api-key create makes another" : "none yet: npx edgr api-key create";
}
