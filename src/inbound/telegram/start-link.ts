import { createHmac, timingSafeEqual } from "node:crypto";
import { fromShortId, toShortId } from "../../events/id.ts";

/**
 * What follows `?start=` in a link that connects a contact's chat: the contact's id and a MAC of customer and contact,
 * 44 characters of the 64 of A-Z, a-z, 0-9, _ and - that Telegram takes.
 */
export type StartLinks = {
  payloadOf(contact: { customerId: string; contactId: string }): string;
  /** @returns null for what this customer's links did not have */
  contactOf(customerId: string, payload: string): string | null;
};

const ID_CHARS = 22;
const MAC_BYTES = 16;

/** @param encryptionKey the installation's: a link may be in a mail that is read years later */
export function createStartLinks(encryptionKey: Buffer): StartLinks {
  const key = createHmac("sha256", encryptionKey).update("edgr telegram start link").digest();
  const macOf = (customerId: string, contactId: string) =>
    createHmac("sha256", key).update(`${customerId} ${contactId}`).digest().subarray(0, MAC_BYTES);

  return {
    payloadOf: ({ customerId, contactId }) =>
      toShortId(contactId) + macOf(customerId, contactId).toString("base64url"),
    contactOf(customerId, payload) {
      const contactId = fromShortId(payload.slice(0, ID_CHARS));
      const mac = Buffer.from(payload.slice(ID_CHARS), "base64url");
      if (contactId === null || mac.length !== MAC_BYTES) return null;
      return timingSafeEqual(mac, macOf(customerId, contactId)) ? contactId : null;
    },
  };
}
