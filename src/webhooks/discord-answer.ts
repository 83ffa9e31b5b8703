import { z } from "zod";
import type { Answered } from "../egress/result.ts";
import { storableText } from "../events/storable.ts";
import { retryAfterSeconds } from "./retry-after.ts";
import { DELIVERED, disabling, neverTriedAgain, triedAgainLater, type Verdict } from "./verdict.ts";

const NEW_ONE = "Make a new webhook in Discord, give its URL to the endpoint and enable it.";

/** Discord's codes for a webhook that is gone, and for a token that is not its own. */
const GONE_CODES = new Set([10015, 50027]);
/** What Discord's front says to addresses that it blocks: it is not the webhook's fault. */
const BLOCKED_CODE = 40333;
/** How long nothing is sent to Discord after its front refused us. */
const BLOCKED_S = 60;
const MAX_SAID_CHARS = 200;

const error = z.object({
  code: z.int().optional().catch(undefined),
  message: z.string().optional().catch(undefined),
  /** Seconds, with a fraction. */
  retry_after: z.number().nonnegative().optional().catch(undefined),
  global: z.boolean().optional().catch(undefined),
});

type Problem = z.infer<typeof error>;

/** What follows from the answer of a Discord webhook, called with `?wait=true` (protocols 6.3). */
export function judgeDiscord(answer: Answered, retryAfterS: number | null): Verdict {
  const { status } = answer;
  if (status >= 200 && status < 300) return { ...DELIVERED, slowsForS: untilReset(answer) };
  const problem = problemOf(answer.body);
  const said = saying(status, problem);
  if (status === 429) return limited(answer, problem, retryAfterS);
  if (status >= 500) return triedAgainLater(status, said, retryAfterS);
  if (status === 404 || GONE_CODES.has(problem?.code ?? 0)) return disabling(status, `${said} ${NEW_ONE}`);
  if (status === 401 || status === 403) return refusedBy(status, problem, said);
  if (status === 400 || status === 413) {
    return neverTriedAgain(
      status,
      `${said} The message is at fault, which is EDGR's own mistake: please report it.`,
    );
  }
  return triedAgainLater(status, said, retryAfterS);
}

/** The body says it exactly; the header has whole seconds. */
function limited(answer: Answered, problem: Problem | null, headerS: number | null): Verdict {
  const isGlobal =
    problem === null ||
    problem.global === true ||
    answer.headers["x-ratelimit-global"] === "true" ||
    answer.headers["x-ratelimit-scope"] === "global";
  const said = `${saying(429, problem)} It is sent more slowly now.`;
  return { ...triedAgainLater(429, said, problem?.retry_after ?? headerS), isGlobal };
}

/** No webhook is blamed for what Discord's front, which does not speak as Discord does, has against our address. */
function refusedBy(status: number, problem: Problem | null, said: string): Verdict {
  if (problem !== null && problem.code !== BLOCKED_CODE) return disabling(status, `${said} ${NEW_ONE}`);
  const blocked = triedAgainLater(status, `${said} Discord blocks the address that EDGR calls from.`, null);
  return { ...blocked, slowsForS: BLOCKED_S, isGlobal: true, countsAgainst: false };
}

/** Seconds until more is taken, when this was the last for now: a refusal less, of which too many ban an address. */
function untilReset({ headers }: Answered): number | null {
  if (headers["x-ratelimit-remaining"] !== "0") return null;
  return retryAfterSeconds(headers["x-ratelimit-reset-after"], 0);
}

/** @returns null for what is not Discord's: its front answers with pages */
function problemOf(body: Buffer): Problem | null {
  try {
    return error.safeParse(JSON.parse(body.toString("utf8"))).data ?? null;
  } catch {
    return null;
  }
}

function saying(status: number, problem: Problem | null): string {
  const { code, message } = problem ?? {};
  const details = [code, message === undefined ? undefined : shortened(message)].filter(
    (part) => part !== undefined,
  );
  return details.length === 0
    ? `Discord answered ${status}.`
    : `Discord answered ${status} (${details.join(": ")}).`;
}

function shortened(text: string): string {
  return storableText(text.length > MAX_SAID_CHARS ? `${text.slice(0, MAX_SAID_CHARS)}…` : text);
}
