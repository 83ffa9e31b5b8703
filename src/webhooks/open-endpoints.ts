import type { KeyObject } from "node:crypto";
import { setNewest } from "../newest.ts";
import type { Db } from "../storage/pool.ts";
import { type OpenEndpoint, openEndpoint } from "./endpoint-queries.ts";
import { privateKey } from "./sign.ts";

/** One whose key need not be read for each signature. */
export type SigningEndpoint = Omit<OpenEndpoint, "signingKey"> & { signingKey: KeyObject };

/** Endpoints with their secrets opened, kept for a moment. */
export type OpenEndpoints = {
  /**
   * @returns null when the endpoint is gone
   * @throws when what is sealed was sealed with another key
   */
  open(
    db: Db,
    endpoint: { customerId: string; endpointId: string; revision: string },
  ): Promise<SigningEndpoint | null>;
};

const MAX_KEPT = 1_000;
/** A secret that has expired signs for so long at most: no revision says that it has. */
const KEPT_MS = 30_000;

export function createOpenEndpoints(deps: { encryptionKey: Buffer; now: () => number }): OpenEndpoints {
  const kept = new Map<string, { endpoint: SigningEndpoint; until: number }>();
  return {
    async open(db, { customerId, endpointId, revision }) {
      const found = kept.get(endpointId);
      const isFresh = found !== undefined && found.until > deps.now() && found.endpoint.revision === revision;
      if (isFresh && found.endpoint.customerId === customerId) return found.endpoint;
      const opened = await openEndpoint(db, deps.encryptionKey, customerId, endpointId);
      kept.delete(endpointId);
      if (opened === null) return null;
      const endpoint = { ...opened, signingKey: privateKey(opened.signingKey) };
      setNewest(kept, endpointId, { endpoint, until: deps.now() + KEPT_MS }, MAX_KEPT);
      return endpoint;
    },
  };
}
