import { AppError } from "../errors.ts";
import type { Endpoint } from "./endpoint-edit-queries.ts";

/** An endpoint as the API answers it. */
export function presentEndpoint(endpoint: Endpoint | null) {
  if (endpoint === null) throw noSuchEndpoint();
  const { disabledBy, disabledReason, disabledAt, ...rest } = endpoint;
  const {
    consecutiveFailures,
    failingSince,
    pausedUntil,
    slowedUntil,
    lastDeliveredAt,
    lastFailure,
    ...shown
  } = rest;
  const isDisabled = disabledBy !== null && disabledAt !== null;
  return {
    ...shown,
    publicKey: endpoint.type === "custom" ? endpoint.publicKey : null,
    disabled: isDisabled
      ? { by: disabledBy, reason: disabledReason ?? "", since: disabledAt.toISOString() }
      : null,
    health: {
      consecutiveFailures,
      failingSince: failingSince?.toISOString() ?? null,
      pausedUntil: pausedUntil?.toISOString() ?? null,
      slowedUntil: slowedUntil?.toISOString() ?? null,
      lastDeliveredAt: lastDeliveredAt?.toISOString() ?? null,
      lastFailure,
    },
    createdAt: endpoint.createdAt.toISOString(),
    updatedAt: endpoint.updatedAt.toISOString(),
  };
}

export const noSuchEndpoint = () => new AppError("not_found", "There is no webhook endpoint with this id.");
