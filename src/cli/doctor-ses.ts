import { awsItself } from "../credentials/ses-setup-aws.ts";
import {
  type SesCredential,
  selectAllAsking,
  selectSesCredentials,
} from "../credentials/ses-setup-queries.ts";
import { type SesSetupDeps, type ShownSetup, showSesSetup } from "../credentials/ses-setup-run.ts";
import { createEgress } from "../egress/client.ts";
import { resolveBySystem } from "../egress/resolve.ts";
import { AppError } from "../errors.ts";
import type { AskingRow } from "../inbound/ses/topic-queries.ts";
import { pendingMigrations } from "../storage/migrate.ts";
import type { Db } from "../storage/pool.ts";
import { readSecrets } from "../storage/secrets.ts";
import { alignColumns } from "./columns.ts";
import type { Terminal } from "./command.ts";
import { withDatabase } from "./with-database.ts";

/**
 * Prints how far the setup of Amazon SES is for every credential of the installation, and what wants to connect.
 * @returns the exit code: 1 when something is missing
 */
export async function doctorSes(terminal: Terminal): Promise<number> {
  const config = terminal.config();
  const secrets = await readSecrets(config.dataDir);
  if (secrets === null) throw new AppError("unavailable", "There is no installation yet: start EDGR first.");
  const { encryptionKey } = secrets;
  const egress = createEgress({ allow: config.egressAllow, resolve: resolveBySystem });
  try {
    const deps = { encryptionKey, publicUrl: config.publicUrl, aws: awsItself(egress) };
    const { text, isComplete } = await withDatabase(config, (db) => examineSes(db, deps));
    terminal.print(text);
    return isComplete ? 0 : 1;
  } finally {
    egress.close();
  }
}

/** @throws AppError when the database is older than this EDGR */
export async function examineSes(db: Db, deps: SesSetupDeps): Promise<{ text: string; isComplete: boolean }> {
  if ((await pendingMigrations(db)).length > 0)
    throw new AppError("unavailable", "The database is older than this EDGR: start it once, or migrate.");
  const credentials = await selectSesCredentials(db);
  const parts: string[] = [];
  let isComplete = true;
  for (const credential of credentials) {
    const setup = await showSesSetup(db, credential.customerId, credential.id, deps);
    isComplete &&= setup.isComplete;
    parts.push(describeSetup(credential, setup));
  }
  if (credentials.length === 0) parts.push("No credential sends through Amazon SES.");
  const asking = await selectAllAsking(db);
  if (asking.length > 0) parts.push(describeAsking(asking));
  return { text: parts.join("\n\n"), isComplete };
}

function describeSetup({ id, name, customer }: SesCredential, setup: ShownSetup): string {
  const { region, hasAwsKeys, steps } = setup;
  const rows = steps.map((step) => [step.status, step.title, step.name, step.reason ?? step.at ?? ""]);
  const open = steps.filter(({ status }) => ["missing", "failed", "unknown"].includes(status));
  const byHand = open.flatMap(({ title, console, command }) => [
    `  ${title}: ${console}`,
    ...(command === null ? [] : [`    ${command}`]),
  ]);
  const keys = hasAwsKeys ? "with AWS keys" : "without AWS keys, so that only what EDGR knows itself is said";
  const lines = [
    `"${name}" (${id}) of ${customer}, ${region ?? "region unknown"}, ${keys}`,
    alignColumns(rows),
  ];
  if (byHand.length > 0) lines.push(byHandTitle(id, hasAwsKeys), ...byHand);
  return lines.join("\n");
}

function byHandTitle(id: string, hasAwsKeys: boolean): string {
  return hasAwsKeys
    ? `POST /api/v1/credentials/${id}/ses/setup does what is missing. By hand:`
    : "By hand, in this order; what is there already can be left out:";
}

function describeAsking(asking: readonly AskingRow[]): string {
  const rows = asking.map(({ topicArn, messages, lastAt }) => [
    `  ${topicArn}`,
    `${messages} message(s)`,
    `last ${lastAt.toISOString()}`,
  ]);
  const allow = 'POST /api/v1/credentials/{id}/ses/topics {"topicArn": "…"} allows one:';
  return `Topics that want to connect, and that nobody allowed. ${allow}\n${alignColumns(rows)}`;
}
