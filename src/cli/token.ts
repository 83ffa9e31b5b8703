import { z } from "zod";
import { AppError } from "../errors.ts";
import { fromShortId } from "../events/id.ts";
import { readSecrets, type Secrets } from "../storage/secrets.ts";
import { createTokens } from "../tracking/token.ts";
import { alignColumns } from "./columns.ts";
import { type Command, parseOptions, UsageError } from "./command.ts";

const header = z.object({ alg: z.string(), kid: z.string() });
const payload = z.object({
  c: z.string(),
  k: z.string(),
  n: z.string(),
  r: z.string(),
  m: z.string(),
  exp: z.number(),
  u: z.string().optional(),
});

export const token: Command = {
  summary: "say what a tracking token contains and whether it is ours",
  help: `Usage: edgr token inspect <token>

Prints what is in the "t" of a pixel, click or unsubscribe link: whose message it is, until when it counts, and
whether this installation signed it. Needs the secrets in EDGR_DATA_DIR, not the database. Exit code 1 when the
token is not ours.

Example:
  npx edgr token inspect eyJhbGciOiJIUzI1NiIsImtpZCI6IjEifQ.eyJj…`,

  async run(args, terminal) {
    const { positionals } = parseOptions(args, {}, 2);
    const [action, text] = positionals;
    if (action !== "inspect" || text === undefined) throw new UsageError('Say "token inspect <token>".');
    const { dataDir } = terminal.config();
    const secrets = await readSecrets(dataDir);
    const { lines, genuine } = inspectToken(text, secrets, new Date());
    terminal.print(alignColumns(lines));
    return genuine ? 0 : 1;
  },
};

/**
 * @param secrets null when there is no installation whose keys could verify it
 * @throws AppError invalid for text that is no token at all
 */
export function inspectToken(
  text: string,
  secrets: Secrets | null,
  now: Date,
): { lines: string[][]; genuine: boolean } {
  const [head, body] = text.split(".");
  const readHeader = header.safeParse(decode(head));
  const readPayload = payload.safeParse(decode(body));
  if (!readHeader.success || !readPayload.success)
    throw new AppError(
      "invalid",
      'This is no tracking token: it has no readable header and claims. Is it all of "t"?',
    );
  const claims = readPayload.data;
  const genuine = secrets !== null && createTokens(secrets.signingKeys).verify(text) !== null;
  const lines = [
    ["signature", describeSignature(genuine, readHeader.data.kid, secrets)],
    ["expires", describeExpiry(claims.exp, now)],
    ["customer", describeId(claims.c)],
    ["campaign", describeId(claims.k)],
    ["node", claims.n],
    ["run", describeId(claims.r)],
    ["message", describeId(claims.m)],
    [
      "for",
      claims.u === undefined ? "pixel or unsubscribe link" : `click on the URL whose digest is ${claims.u}`,
    ],
    ["header", JSON.stringify(readHeader.data)],
  ];
  return { lines, genuine };
}

function decode(part: string | undefined): unknown {
  try {
    return JSON.parse(Buffer.from(part ?? "", "base64url").toString("utf8"));
  } catch {
    return null;
  }
}

function describeSignature(genuine: boolean, kid: string, secrets: Secrets | null): string {
  if (genuine) return `good (key ${kid})`;
  if (secrets === null) return "unknown: there are no secrets in EDGR_DATA_DIR yet";
  const key = secrets.signingKeys.find((candidate) => candidate.kid === kid);
  if (key === undefined) return `BAD: this installation has no key ${kid}`;
  return key.retired ? `BAD: key ${kid} is retired` : "BAD: not signed by this installation, or changed";
}

function describeExpiry(seconds: number, now: Date): string {
  const at = new Date(seconds * 1000);
  if (Number.isNaN(at.getTime())) return `never valid (${seconds})`;
  const days = Math.round(Math.abs(at.getTime() - now.getTime()) / 86_400_000);
  return `${at.toISOString()} (${at > now ? `in ${days} days` : `EXPIRED ${days} days ago`})`;
}

function describeId(short: string): string {
  return fromShortId(short) ?? `${short} (not an id)`;
}
