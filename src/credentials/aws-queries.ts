import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";
import type { AwsKeys } from "./aws.ts";
import { smtpSettings } from "./schema.ts";
import { openSecret, sealSecret } from "./secret-box.ts";

/**
 * Keeps the secret of a credential's AWS keys, sealed; null forgets it.
 * @param db the transaction that writes the credential's settings
 */
export async function saveAwsSecret(
  db: Db,
  encryptionKey: Buffer,
  customerId: string,
  id: string,
  secret: string | null,
): Promise<void> {
  const sealed = secret === null ? null : sealSecret(encryptionKey, ownerOf(customerId, id), secret);
  await sql`
    update credential set aws_secret = ${sealed} where customer_id = ${customerId} and id = ${id}`.execute(
    db,
  );
}

/** The AWS keys of a credential; null when it has none, or does not exist. */
export async function findAwsKeys(
  db: Db,
  encryptionKey: Buffer,
  customerId: string,
  id: string,
): Promise<AwsKeys | null> {
  const { rows } = await sql<{ settings: unknown; secret: Buffer | null }>`
    select settings, aws_secret as secret from credential
    where customer_id = ${customerId} and id = ${id} and type = 'smtp'`.execute(db);
  const row = rows[0];
  if (row === undefined || row.secret === null) return null;
  const aws = smtpSettings.parse(row.settings).ses?.aws ?? null;
  if (aws === null) return null;
  return { ...aws, secretAccessKey: openSecret(encryptionKey, ownerOf(customerId, id), row.secret) };
}

// Another than that of the password, so that the one can't be put in the other's place.
function ownerOf(customerId: string, id: string): string {
  return `${customerId}/${id}/aws`;
}
