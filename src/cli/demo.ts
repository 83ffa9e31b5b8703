import path from "node:path";
import { type Comparison, isEqual } from "../demo/compare.ts";
import { removeDemo, runDemo } from "../demo/demo.ts";
import { alignColumns } from "./columns.ts";
import { type Command, parseOptions, UsageError } from "./command.ts";

const DEFAULT_CONTACTS = 200;
const MAX_CONTACTS = 10_000;

export const demo: Command = {
  summary: "send a campaign to made-up people and compare what they did with what EDGR says",
  help: `Usage: edgr demo [--contacts N] [--keep]

Starts EDGR on a scratch database and a mail server on loopback, sends a campaign of four emails, lets the
recipients open, click and unsubscribe as people, image proxies, privacy proxies and link scanners do, lets stand-ins
for Amazon SES and SNS report deliveries, bounces, complaints and answers, signed, in no order and some of them twice.
Whoever does not open the first email within three seconds gets a message in Telegram, from a stand-in for it, and
clicks, answers, reacts or leaves there; some have blocked the bot or never started it. Both sides are printed in one
table. Nothing leaves this machine. Exit code 1 when the sides differ or somebody was mailed twice.

A demo that was killed is continued by the next one: what had been acknowledged must be there, once.

Options:
  --contacts N  how many people, 200 unless said otherwise
  --keep        keep the scratch directory (EDGR_DATA_DIR/demo) when the demo has ended

Example:
  npx edgr demo --contacts 1000`,

  async run(args, terminal) {
    const { values } = parseOptions(args, { contacts: { type: "string" }, keep: { type: "boolean" } }, 0);
    const contacts = Number(values.contacts ?? DEFAULT_CONTACTS);
    if (!Number.isInteger(contacts) || contacts < 1 || contacts > MAX_CONTACTS) {
      throw new UsageError(`--contacts must be a whole number from 1 to ${MAX_CONTACTS}.`);
    }
    const dir = path.join(terminal.config().dataDir, "demo");
    const result = await runDemo({ dir, contacts, print: terminal.print });
    terminal.print(`\n${table(result.rows)}\n`);
    for (const twice of result.mailedTwice) terminal.print(`MAILED TWICE: ${twice}`);
    if (!result.complete || result.mailedTwice.length > 0) {
      terminal.print(`The two sides differ. The scratch directory is kept: ${dir}`);
      return 1;
    }
    terminal.print("Both sides agree; nobody was mailed twice.");
    if (values.keep === true) terminal.print(`The scratch directory is kept: ${dir}`);
    else removeDemo(dir);
    return 0;
  },
};

function table(rows: readonly Comparison[]): string {
  const body = rows
    .filter((row) => row.most > 0 || row.recorded > 0)
    .map((row) => [
      row.what,
      row.done === row.most ? String(row.done) : `${row.done} to ${row.most}`,
      String(row.recorded),
      isEqual(row) ? "ok" : "DIFFERS",
    ]);
  return alignColumns([["", "done", "EDGR says", ""], ...body]);
}
