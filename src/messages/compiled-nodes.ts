import type { Db } from "../storage/pool.ts";
import type { CampaignMessage } from "./claim-queries.ts";
import { findNodeSettings } from "./queries.ts";

const MAX_CACHED_NODES = 200;

/**
 * Nodes ready to be composed, each compiled once for as long as it is kept: versions never change, so nothing here
 * goes stale.
 */
export function createCompiledNodes<Compiled>(
  db: Db,
  compile: (settings: unknown) => Compiled,
): (message: CampaignMessage) => Promise<Compiled> {
  const nodes = new Map<string, Compiled>();
  return async (message) => {
    const key = `${message.campaignId}/${message.version}/${message.nodeId}`;
    const cached = nodes.get(key);
    if (cached !== undefined) return cached;
    const compiled = compile(await findNodeSettings(db, message));
    if (nodes.size >= MAX_CACHED_NODES) nodes.clear();
    nodes.set(key, compiled);
    return compiled;
  };
}
