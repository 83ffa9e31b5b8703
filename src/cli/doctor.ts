import { access, constants, stat, statfs } from "node:fs/promises";
import path from "node:path";
import { type Config, ConfigError } from "../config.ts";
import { findPort } from "../http/server.ts";
import { inspectSpools, type SpoolFile } from "../spool/spool.ts";
import { pendingMigrations } from "../storage/migrate.ts";
import { describeDatabase } from "../storage/open.ts";
import type { Db } from "../storage/pool.ts";
import { readSecrets, secretsPath } from "../storage/secrets.ts";
import { alignColumns } from "./columns.ts";
import { type Command, parseOptions, type Terminal, UsageError } from "./command.ts";
import { doctorSes } from "./doctor-ses.ts";
import { askServer } from "./queries.ts";
import { withDatabase } from "./with-database.ts";

export type Finding = { status: "ok" | "warn" | "fail"; subject: string; text: string };

const LITTLE_SPACE_BYTES = 1024 ** 3;
const TOO_LITTLE_SPACE_BYTES = 100 * 1024 ** 2;
const SKEW_WARN_MS = 2_000;
const HEALTH_TIMEOUT_MS = 3_000;

export const doctor: Command = {
  summary: "check the configuration and everything it leads to",
  help: `Usage: edgr doctor [ses]

Checks, one line each: configuration, data directory, secrets, spool, database, migrations, clock, public address and
port. Changes nothing. Exit code 1 when something fails.

"edgr doctor ses" looks at the setup of Amazon SES instead: for every credential, what is there and what is missing (it
asks AWS when the credential has keys), and the SNS topics that want to connect. Exit code 1 when something is missing.

Examples:
  npx edgr doctor
  npx edgr doctor ses`,

  async run(args, terminal) {
    const [area] = parseOptions(args, {}, 1).positionals;
    if (area === "ses") return doctorSes(terminal);
    if (area !== undefined) throw new UsageError('Say "doctor" or "doctor ses".');
    const findings = await examine(terminal);
    terminal.print(alignColumns(findings.map(({ status, subject, text }) => [status, subject, text])));
    return findings.some(({ status }) => status === "fail") ? 1 : 0;
  },
};

async function examine(terminal: Terminal): Promise<Finding[]> {
  const config = readConfiguration(terminal);
  if ("status" in config) return [config];
  return [
    { status: "ok", subject: "configuration", text: "every variable makes sense" },
    await checkDataDir(config.dataDir),
    await checkSecrets(config.dataDir),
    ...checkSpools(config.dataDir),
    ...(await checkDatabase(config)),
    checkPublicUrl(config.publicUrl),
    await checkPort(config),
  ];
}

function readConfiguration(terminal: Terminal): Config | Finding {
  try {
    return terminal.config();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { status: "fail", subject: "configuration", text: error.message };
  }
}

export async function checkDataDir(dataDir: string): Promise<Finding> {
  const subject = "data directory";
  const found = await stat(dataDir).catch(() => null);
  if (found === null)
    return { status: "ok", subject, text: `${dataDir} is not there yet; the first start makes it` };
  try {
    await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    return { status: "fail", subject, text: `${dataDir} is not writable: give it to the user EDGR runs as` };
  }
  const { bavail, bsize } = await statfs(dataDir);
  const free = bavail * bsize;
  const space = `${(free / 1024 ** 3).toFixed(1)} GiB free in ${dataDir}`;
  if (free < TOO_LITTLE_SPACE_BYTES) return { status: "fail", subject, text: `${space}: make room` };
  if (free < LITTLE_SPACE_BYTES) return { status: "warn", subject, text: `${space}: make room soon` };
  if ((found.mode & 0o022) !== 0)
    return { status: "warn", subject, text: `others may write in ${dataDir}: chmod go-w "${dataDir}"` };
  return { status: "ok", subject, text: space };
}

export async function checkSecrets(dataDir: string): Promise<Finding> {
  const subject = "secrets";
  const file = secretsPath(dataDir);
  try {
    const secrets = await readSecrets(dataDir);
    if (secrets === null) return { status: "ok", subject, text: "not there yet; the first start makes them" };
    if (((await stat(file)).mode & 0o077) !== 0)
      return { status: "warn", subject, text: `${file} is open to others: chmod 600 "${file}"` };
    return {
      status: "ok",
      subject,
      text: `readable; ${secrets.signingKeys.length} signing key(s). Back up ${file}`,
    };
  } catch (error) {
    return { status: "fail", subject, text: messageOf(error) };
  }
}

/** What hits wait on disk for the database, and those that it refused, the newest of them one a line. */
export function checkSpools(dataDir: string): Finding[] {
  const subject = "spool";
  try {
    const findings = inspectSpools(dataDir).flatMap(describeSpool);
    return findings.length > 0
      ? findings
      : [{ status: "ok", subject, text: "no hits wait for the database" }];
  } catch (error) {
    return [{ status: "fail", subject, text: messageOf(error) }];
  }
}

function describeSpool({ file, events, setAside, refused }: SpoolFile): Finding[] {
  const subject = "spool";
  const findings: Finding[] = [];
  if (events > 0)
    findings.push({ status: "warn", subject, text: `${events} hit(s) wait for the database in ${file}` });
  if (setAside > 0) {
    const text = `${setAside} entries that the database refused are kept whole in ${file} (SQLite, table "refused"); the newest:`;
    findings.push({ status: "warn", subject, text });
  }
  for (const { kind, id, refusedAt, reason } of refused)
    findings.push({ status: "warn", subject, text: `${refusedAt.toISOString()} ${kind} ${id}: ${reason}` });
  return findings;
}

async function checkDatabase(config: Config): Promise<Finding[]> {
  const subject = "database";
  const embedded = config.databaseUrl === null;
  const initialised = await stat(path.join(config.dataDir, "postgres")).catch(() => null);
  if (embedded && initialised === null)
    return [{ status: "ok", subject, text: "embedded; not there yet, the first start makes it" }];
  const where = config.databaseUrl === null ? "embedded" : describeDatabase(config.databaseUrl);
  try {
    return await withDatabase(config, (db) => checkInside(db, where));
  } catch (error) {
    return [{ status: "fail", subject, text: messageOf(error) }];
  }
}

async function checkInside(db: Db, where: string): Promise<Finding[]> {
  const before = Date.now();
  const { version, now } = await askServer(db);
  const after = Date.now();
  const pending = await pendingMigrations(db);
  return [
    { status: "ok", subject: "database", text: `${where}, PostgreSQL ${version}` },
    pending.length === 0
      ? { status: "ok", subject: "migrations", text: "up to date" }
      : { status: "warn", subject: "migrations", text: `the next start applies ${pending.join(", ")}` },
    judgeClock(now, before, after),
  ];
}

/** @param before and @param after Unix milliseconds around the question to the database */
export function judgeClock(database: Date, before: number, after: number): Finding {
  const subject = "clock";
  const at = database.getTime();
  const skew = at < before ? before - at : Math.max(0, at - after);
  if (skew <= SKEW_WARN_MS) return { status: "ok", subject, text: "agrees with the database's" };
  const seconds = Math.round(skew / 1000);
  return { status: "warn", subject, text: `${seconds} s away from the database's: run NTP on both machines` };
}

export function checkPublicUrl(publicUrl: string): Finding {
  const subject = "public address";
  const { protocol, hostname } = new URL(publicUrl);
  if (["localhost", "127.0.0.1", "[::1]"].includes(hostname))
    return {
      status: "warn",
      subject,
      text: `links in emails would lead to ${publicUrl}, which works on this machine only: set EDGR_PUBLIC_URL`,
    };
  if (protocol !== "https:")
    return {
      status: "warn",
      subject,
      text: `${publicUrl} is not https, which one-click unsubscribe needs: put a TLS proxy before EDGR`,
    };
  return { status: "ok", subject, text: publicUrl };
}

async function checkPort(config: Config): Promise<Finding> {
  const subject = "port";
  try {
    await findPort(config);
    return { status: "ok", subject, text: `${config.port} on ${config.host} is free` };
  } catch (error) {
    if (await answersHealthy(config))
      return { status: "ok", subject, text: `EDGR answers on ${config.host}:${config.port}` };
    return { status: "fail", subject, text: messageOf(error) };
  }
}

async function answersHealthy({ host, port }: Config): Promise<boolean> {
  const name = host === "0.0.0.0" || host === "::" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return fetch(`http://${name}:${port}/healthz`, { signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) }).then(
    (response) => response.ok,
    () => false,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
