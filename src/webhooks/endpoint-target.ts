import type { Egress } from "../egress/client.ts";
import type { IsOpened } from "../egress/opened.ts";
import { invalid } from "../http/problem.ts";
import { formProblem } from "./endpoint-url.ts";
import type { EndpointType } from "./told.ts";

export type TargetCheck = { egress: Pick<Egress, "refusal">; isOpened: IsOpened };

/**
 * The same check as before every request, and what else is asked of an address that is saved. Resolves its name.
 * @throws AppError with the reason
 */
export async function checkTarget(type: EndpointType, url: string, deps: TargetCheck): Promise<void> {
  const refused = await deps.egress.refusal(url);
  const reason = refused ?? formProblem(type, url, await deps.isOpened(url));
  if (reason !== null) throw invalid([{ field: "url", reason }]);
}
