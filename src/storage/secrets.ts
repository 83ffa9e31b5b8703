import { randomBytes } from "node:crypto";
import { chmod, link, mkdir, open, readFile, rm, stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { AppError } from "../errors.ts";

/** What must stay the same for as long as the installation lives; losing it breaks every link sent so far. */
export type Secrets = {
  /** 32 bytes; seals credentials at rest. */
  encryptionKey: Buffer;
  /** Newest first: the first that is not retired signs, every one that is not retired verifies. */
  signingKeys: { kid: string; secret: Buffer; retired: boolean }[];
};

const KEY_BYTES = 32;

const key = z
  .base64()
  .transform((text) => Buffer.from(text, "base64"))
  .refine((bytes) => bytes.length >= KEY_BYTES, `must have at least ${KEY_BYTES} bytes`);

const secretsFile = z.object({
  encryptionKey: key.refine((bytes) => bytes.length === KEY_BYTES, `must have ${KEY_BYTES} bytes`),
  signingKeys: z
    .array(
      z.object({
        kid: z.string().regex(/^[A-Za-z0-9]{1,4}$/),
        secret: key,
        createdAt: z.iso.datetime(),
        retired: z.boolean(),
      }),
    )
    .refine((keys) => keys.some(({ retired }) => !retired), "must have one that is not retired")
    .refine((keys) => new Set(keys.map(({ kid }) => kid)).size === keys.length, "must have different kids"),
});

/** Where the secrets are: JSON, readable by its owner only. */
export function secretsPath(dataDir: string): string {
  return path.join(dataDir, "secrets.json");
}

/**
 * Reads the installation's secrets, which the first start makes. Starts at the same moment agree on one set.
 * @param warn told when the file was open to others and has been closed
 * @throws AppError naming the file when it cannot be read or is damaged; it is never overwritten
 */
export async function loadSecrets(
  dataDir: string,
  now: Date,
  warn: (message: string) => void,
): Promise<Secrets> {
  const found = await readSecrets(dataDir);
  if (found !== null) {
    await closeToOthers(secretsPath(dataDir), warn);
    return found;
  }
  await createSecrets(dataDir, now);
  const made = await readSecrets(dataDir);
  if (made === null)
    throw new AppError("unavailable", `${secretsPath(dataDir)} was removed while EDGR started.`);
  return made;
}

/** The secrets as they are, or null before the first start. */
export async function readSecrets(dataDir: string): Promise<Secrets | null> {
  const file = secretsPath(dataDir);
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw new AppError(
      "unavailable",
      `${file} cannot be read (${error.code}): it must belong to the user EDGR runs as.`,
    );
  });
  if (text === null) return null;
  const parsed = secretsFile.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    (issue) => `${issue.path.join(".") || "the file"}: ${issue.message}`,
  );
  throw new AppError(
    "unavailable",
    `${file} is damaged (${problems.join("; ")}). Restore it from a backup: without it, links in emails already ` +
      "sent and stored credentials are lost. To begin anew on purpose, move it away.",
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function closeToOthers(file: string, warn: (message: string) => void): Promise<void> {
  const { mode } = await stat(file);
  if ((mode & 0o077) === 0) return;
  await chmod(file, 0o600);
  warn(
    `${file} was open to other users of this machine (mode ${(mode & 0o777).toString(8)}); it is 600 now.`,
  );
}

/** Written beside and linked into place, which only the first of several can do, and only with a whole file. */
async function createSecrets(dataDir: string, now: Date): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const draft = `${secretsPath(dataDir)}.${randomBytes(6).toString("hex")}`;
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(newSecrets(now), null, 2)}\n`);
    await file.sync();
    await link(draft, secretsPath(dataDir)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  } finally {
    await file.close();
    await rm(draft);
  }
  const folder = await open(dataDir, "r");
  await folder.sync().finally(() => folder.close());
}

function newSecrets(now: Date): z.input<typeof secretsFile> {
  const newKey = () => randomBytes(KEY_BYTES).toString("base64");
  return {
    encryptionKey: newKey(),
    signingKeys: [{ kid: "1", secret: newKey(), createdAt: now.toISOString(), retired: false }],
  };
}
