import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Config } from "../config.ts";
import { createEgress } from "../egress/client.ts";
import { resolveBySystem } from "../egress/resolve.ts";
import { AppError } from "../errors.ts";
import type { Reception } from "../inbound/ses/receive.ts";
import { createReceiver, type Receiver } from "../inbound/ses/receiver.ts";
import { createLogger } from "../logger.ts";
import type { Db } from "../storage/pool.ts";
import { alignColumns } from "./columns.ts";
import { type Command, parseOptions, UsageError } from "./command.ts";
import { withDatabase } from "./with-database.ts";

/** Enough to be written in groups. */
const AT_ONCE = 200;
const MAX_SHOWN = 20;
const EVERYWHERE = ["0.0.0.0/0", "::/0"];

export const ses: Command = {
  summary: "feed stored notifications of Amazon SNS again",
  help: `Usage: edgr ses replay <file>

Takes notifications of Amazon SNS as they were delivered (one JSON object a line, or a JSON array of them, or one) and
does with them what POST /api/ses-events does: the signature is verified with SNS's certificate, the topic has to be
allowed, and what was taken before is not taken again. Only their age does not matter. For what a dead-letter queue or
a proxy kept while EDGR could not be reached. Exit code 1 when one of them was refused.

Example:
  npx edgr ses replay notifications.jsonl`,

  async run(args, terminal) {
    const { positionals } = parseOptions(args, {}, 2);
    const [action, file] = positionals;
    if (action !== "replay" || file === undefined) throw new UsageError('Say "ses replay <file>".');
    const config = terminal.config();
    const outcomes = await withDatabase(config, (db) => replay(createReplayer(db, config), readBodies(file)));
    terminal.print(alignColumns([...outcomes.counts].map(([outcome, count]) => [outcome, String(count)])));
    for (const line of outcomes.refused) terminal.print(line);
    return outcomes.refused.length === 0 ? 0 : 1;
  },
};

function createReplayer(db: Db, config: Config): Receiver {
  return createReceiver({
    db,
    egress: createEgress({ allow: config.egressAllow, resolve: resolveBySystem }),
    trustedEgress: createEgress({ allow: EVERYWHERE, resolve: resolveBySystem }),
    trustedHosts: config.snsTrustedHosts,
    now: Date.now,
    takesOld: true,
    onAppend: () => {},
    counters: { sesRequest: () => {}, sesFacts: () => {} },
    log: createLogger(config.logLevel),
  });
}

export type Replayed = {
  /** How many of each outcome. */
  counts: Map<string, number>;
  /** Those that were refused, with their place and the reason: the first of them. */
  refused: string[];
};

/** Feeds bodies in their order, a handful at the same time. */
export async function replay(
  receiver: Pick<Receiver, "receive">,
  bodies: AsyncIterable<string>,
): Promise<Replayed> {
  const counts = new Map<string, number>();
  const refused: string[] = [];
  const note = ({ status, outcome, detail }: Reception, place: number) => {
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    if (status !== 200 && refused.length < MAX_SHOWN) refused.push(`notification ${place}: ${detail}`);
  };
  let place = 0;
  let inHand: Promise<void>[] = [];
  for await (const body of bodies) {
    place += 1;
    const number = place;
    inHand.push(receiver.receive(body).then((reception) => note(reception, number)));
    if (inHand.length < AT_ONCE) continue;
    await Promise.all(inHand);
    inHand = [];
  }
  await Promise.all(inHand);
  return { counts, refused };
}

/**
 * The notifications in a file, of whichever form.
 * @throws AppError invalid when it can't be read
 */
export async function* readBodies(file: string): AsyncGenerator<string> {
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
  let isFirst = true;
  try {
    for await (const line of lines) {
      if (line.trim() === "") continue;
      // Only a whole file can be an object over several lines, or a list.
      if (isFirst && !isObject(line)) {
        yield* bodiesOf(await readFile(file, "utf8"));
        return;
      }
      isFirst = false;
      yield line;
    }
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error;
    throw isMissing ? new AppError("invalid", `${file} can't be read: ${error.message}`) : error;
  } finally {
    lines.close();
  }
}

function isObject(line: string): boolean {
  const value = parse(line);
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function bodiesOf(text: string): string[] {
  const value = parse(text);
  return Array.isArray(value) ? value.map((item) => JSON.stringify(item)) : [text];
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
