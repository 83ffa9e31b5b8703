import path from "node:path";
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { TELEGRAM_ITSELF } from "./telegram/api.ts";

const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;

const httpUrl = z.string().refine((value) => {
  const url = URL.canParse(value) ? new URL(value) : null;
  return url !== null && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "";
}, "must be an http or https address without query, such as https://edgr.example.com");

const hosts = z
  .string()
  .transform((value) => value.split(",").map((host) => host.trim().toLowerCase()))
  .pipe(
    z.array(
      z
        .string()
        .regex(
          /^[a-z0-9.-]+(:\d{1,5})?$/,
          "must be a comma-separated list of hosts with their ports, such as localhost:4566",
        ),
    ),
  );

const ipRanges = z
  .string()
  .transform((value) => value.split(",").map((range) => range.trim()))
  .pipe(
    z.array(
      z
        .string()
        .refine(
          (range) => ipaddr.isValid(range) || ipaddr.isValidCIDR(range),
          "must be a comma-separated list of addresses or ranges, such as 10.0.0.0/8, 127.0.0.1",
        ),
    ),
  );

/** Every environment variable EDGR reads, with its default and what it does. The README's table is this one. */
const environment = z.object({
  /** The address people reach EDGR at; every link in an email begins with it. Default: http://localhost:PORT. */
  EDGR_PUBLIC_URL: httpUrl.optional(),
  /** On first start, creates the customer `default` with this API key. */
  EDGR_API_KEY: z
    .string()
    .min(16, "must have at least 16 characters")
    .max(200)
    .regex(/^[\x21-\x7e]+$/, "must be printable ASCII without spaces")
    .optional(),
  /** Where the embedded database, the secrets, the process lock and the spool live. */
  EDGR_DATA_DIR: z.string().min(1).default("./data"),
  /** A PostgreSQL server (14 or newer) to use instead of the embedded one. */
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, "must begin with postgres:// or postgresql://")
    .optional(),
  /** How much of the disk, in MiB, hits may take under EDGR_DATA_DIR while the database is away. */
  EDGR_SPOOL_MAX_MIB: z.coerce
    .number({ error: "must be a number of MiB" })
    .int()
    .min(1)
    .max(1_048_576)
    .default(1024),
  PORT: z.coerce.number({ error: "must be a port number" }).int().min(0).max(65535).default(3000),
  HOST: z.string().min(1).default("127.0.0.1"),
  LOG_LEVEL: z.enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(", ")}` }).default("info"),
  /** Reverse proxies whose X-Forwarded-For is believed, as addresses or ranges. Default: none. */
  EDGR_TRUSTED_PROXIES: ipRanges.default([]),
  /** Private addresses or ranges that campaigns and webhooks may call on purpose. Default: none. */
  EDGR_EGRESS_ALLOW: ipRanges.default([]),
  /** Stand-ins for Amazon SNS (host:port), believed like it, for development. Default: none. */
  EDGR_SNS_TRUSTED_HOSTS: hosts.default([]),
  /** Where Telegram's Bot API is; a server of one's own may be private, and without TLS. */
  EDGR_TELEGRAM_API_ROOT: httpUrl.default(TELEGRAM_ITSELF),
});

export type Config = {
  publicUrl: string;
  apiKey: string | null;
  dataDir: string;
  databaseUrl: string | null;
  spoolMaxBytes: number;
  port: number;
  host: string;
  logLevel: (typeof LOG_LEVELS)[number];
  trustedProxies: readonly string[];
  egressAllow: readonly string[];
  snsTrustedHosts: readonly string[];
  telegramApiRoot: string;
};

export class ConfigError extends Error {}

/**
 * Parses the environment once.
 * @throws ConfigError naming every wrong variable and why, one a line
 */
export function readConfig(env: Record<string, string | undefined>, cwd: string): Config {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const parsed = environment.safeParse(present);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `  ${String(issue.path[0])} ${issue.message}`);
    throw new ConfigError(`The configuration is wrong:\n${lines.join("\n")}`);
  }
  const value = parsed.data;
  return {
    publicUrl: (value.EDGR_PUBLIC_URL ?? `http://localhost:${value.PORT}`).replace(/\/+$/, ""),
    apiKey: value.EDGR_API_KEY ?? null,
    dataDir: path.resolve(cwd, value.EDGR_DATA_DIR),
    databaseUrl: value.DATABASE_URL ?? null,
    spoolMaxBytes: value.EDGR_SPOOL_MAX_MIB * 1024 ** 2,
    port: value.PORT,
    host: value.HOST,
    logLevel: value.LOG_LEVEL,
    trustedProxies: value.EDGR_TRUSTED_PROXIES,
    egressAllow: value.EDGR_EGRESS_ALLOW,
    snsTrustedHosts: value.EDGR_SNS_TRUSTED_HOSTS,
    telegramApiRoot: value.EDGR_TELEGRAM_API_ROOT.replace(/\/+$/, ""),
  };
}
