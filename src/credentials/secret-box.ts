import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** The size of a sealed empty text; everything that says something is larger. */
export const EMPTY_SECRET_BYTES = NONCE_BYTES + TAG_BYTES;

/**
 * Encrypts what must not lie readable in the database: AES-256-GCM, as nonce, tag and ciphertext in one buffer.
 * @param key 32 bytes
 * @param owner binds the secret to its row: it can't be opened as another row's
 */
export function sealSecret(key: Buffer, owner: string, plain: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(owner));
  const ciphertext = Buffer.concat([cipher.update(plain, "utf8"), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]);
}

/**
 * @throws when the key is not the one it was sealed with, the owner is another, or a byte was changed
 */
export function openSecret(key: Buffer, owner: string, sealed: Buffer): string {
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
    .setAAD(Buffer.from(owner))
    .setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  return (
    decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES), undefined, "utf8") + decipher.final("utf8")
  );
}
