import { createHmac, timingSafeEqual } from "node:crypto";

/**
 * The address that answers to a message go to: `reply+<token>@domain`. The token is the message's id and a MAC of
 * customer and message, in base32, because mail servers change the case of addresses. 56 characters before the `@`,
 * of the 64 that there may be.
 */
export type ReplyAddresses = {
  addressOf(message: { customerId: string; messageId: string }, domain: string): string;
  /**
   * The first message of this customer's that one of these addresses is for; null when there is none: another
   * customer's token is as good as a forged one.
   */
  messageOf(customerId: string, addresses: readonly string[]): string | null;
};

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const ID_BYTES = 16;
const MAC_BYTES = 15;
const TOKEN_CHARS = 50;

/**
 * @param encryptionKey the installation's; signing keys come and go, while an answer to a mail may come years later
 */
export function createReplyAddresses(encryptionKey: Buffer): ReplyAddresses {
  const key = createHmac("sha256", encryptionKey).update("edgr reply address").digest();
  const macOf = (customerId: string, id: Buffer) =>
    createHmac("sha256", key).update(bytesOf(customerId)).update(id).digest().subarray(0, MAC_BYTES);

  function read(customerId: string, address: string): string | null {
    const token = /^reply\+([a-z2-7]{50})@/.exec(address.toLowerCase())?.[1];
    const bytes = token === undefined ? null : fromBase32(token);
    if (bytes === null) return null;
    const id = bytes.subarray(0, ID_BYTES);
    return timingSafeEqual(bytes.subarray(ID_BYTES), macOf(customerId, id)) ? idOf(id) : null;
  }

  return {
    addressOf({ customerId, messageId }, domain) {
      const id = bytesOf(messageId);
      return `reply+${toBase32(Buffer.concat([id, macOf(customerId, id)]))}@${domain}`;
    },
    messageOf(customerId, addresses) {
      for (const address of addresses) {
        const messageId = read(customerId, address);
        if (messageId !== null) return messageId;
      }
      return null;
    },
  };
}

function bytesOf(id: string): Buffer {
  return Buffer.from(id.replaceAll("-", ""), "hex");
}

function idOf(bytes: Buffer): string {
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function toBase32(bytes: Buffer): string {
  let bits = BigInt(`0x${bytes.toString("hex")}`) << BigInt(TOKEN_CHARS * 5 - bytes.length * 8);
  let text = "";
  for (let place = 0; place < TOKEN_CHARS; place++) {
    text = ALPHABET.charAt(Number(bits & 31n)) + text;
    bits >>= 5n;
  }
  return text;
}

/** Null for what `toBase32` would have written otherwise: one token has one form. */
function fromBase32(text: string): Buffer | null {
  let bits = 0n;
  for (const char of text) bits = (bits << 5n) | BigInt(ALPHABET.indexOf(char));
  const bytes = ID_BYTES + MAC_BYTES;
  const spare = BigInt(TOKEN_CHARS * 5 - bytes * 8);
  if ((bits & ((1n << spare) - 1n)) !== 0n) return null;
  return Buffer.from((bits >> spare).toString(16).padStart(bytes * 2, "0"), "hex");
}
