import { apiKey } from "./cli/api-key.ts";
import { alignColumns } from "./cli/columns.ts";
import { type Command, UsageError } from "./cli/command.ts";
import { demo } from "./cli/demo.ts";
import { doctor } from "./cli/doctor.ts";
import { mailbox } from "./cli/mailbox.ts";
import { migrate } from "./cli/migrate.ts";
import { replay } from "./cli/replay.ts";
import { serve } from "./cli/serve.ts";
import { ses } from "./cli/ses.ts";
import { token } from "./cli/token.ts";
import { ConfigError, readConfig } from "./config.ts";
import { AppError } from "./errors.ts";

const COMMANDS = new Map<string, Command>([
  ["serve", serve],
  ["demo", demo],
  ["mailbox", mailbox],
  ["migrate", migrate],
  ["api-key", apiKey],
  ["token", token],
  ["ses", ses],
  ["replay", replay],
  ["doctor", doctor],
]);

const terminal = {
  config: () => readConfig(process.env, process.cwd()),
  print: (text: string) => console.log(text),
};

/** @returns the exit code: 1 for what failed, 2 for a command line that does not make sense */
async function main(args: readonly string[]): Promise<number> {
  const [name = "serve", ...rest] = args;
  if (name === "help" || name === "--help" || name === "-h") return printHelp();
  const command = COMMANDS.get(name);
  if (command === undefined) {
    console.error(`There is no command "${name}".\n\n${overview()}`);
    return 2;
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    terminal.print(command.help);
    return 0;
  }
  try {
    return await command.run(rest, terminal);
  } catch (error) {
    return explain(error, command);
  }
}

function printHelp(): number {
  terminal.print(overview());
  return 0;
}

function overview(): string {
  const rows = [...COMMANDS].map(([name, { summary }]) => [`  ${name}`, summary]);
  return `Usage: edgr [command]\n\n${alignColumns(rows)}\n\n"edgr <command> --help" says more.`;
}

/** What is expected to go wrong is one sentence; anything else is a fault of ours and keeps its stack. */
function explain(error: unknown, command: Command): number {
  if (error instanceof UsageError) {
    console.error(`${error.message}\n\n${command.help}`);
    return 2;
  }
  console.error(error instanceof AppError || error instanceof ConfigError ? error.message : error);
  return 1;
}

process.exit(await main(process.argv.slice(2)));
