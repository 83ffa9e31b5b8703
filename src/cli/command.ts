import { type ParseArgsConfig, parseArgs } from "node:util";
import type { Config } from "../config.ts";

/** What a command may use of the world around it. */
export type Terminal = {
  /** Parsed when asked for, so that help needs no configuration. @throws ConfigError */
  config(): Config;
  print(text: string): void;
};

export type Command = {
  /** One line in the list of commands. */
  summary: string;
  /** What `--help` prints, examples included. */
  help: string;
  /** @returns the exit code */
  run(args: readonly string[], terminal: Terminal): Promise<number>;
};

/** A command line that does not make sense: answered with help and exit code 2. */
export class UsageError extends Error {}

/** @throws UsageError for an unknown option, a missing value or more words than `maxPositionals` */
export function parseOptions<T extends NonNullable<ParseArgsConfig["options"]>>(
  args: readonly string[],
  options: T,
  maxPositionals: number,
) {
  const parsed = parse(args, options);
  const extra = parsed.positionals[maxPositionals];
  if (extra !== undefined) throw new UsageError(`"${extra}" is one word too many.`);
  return parsed;
}

function parse<T extends NonNullable<ParseArgsConfig["options"]>>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
