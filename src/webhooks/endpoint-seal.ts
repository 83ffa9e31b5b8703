import { openSecret, sealSecret } from "../credentials/secret-box.ts";

/** What of an endpoint is sealed. */
export type Part = "url" | "headers" | "signing key" | `secret ${string}`;

export type Whose = { encryptionKey: Buffer; customerId: string; endpointId: string };

export function sealPart(whose: Whose, part: Part, plain: string): Buffer {
  return sealSecret(whose.encryptionKey, ownerOf(whose, part), plain);
}

/** @throws when it was sealed as another part, of another endpoint, or with another key */
export function openPart(whose: Whose, part: Part, sealed: Buffer): string {
  return openSecret(whose.encryptionKey, ownerOf(whose, part), sealed);
}

// Each part another's, so that none can be put in another's place.
function ownerOf({ customerId, endpointId }: Whose, part: Part): string {
  return `${customerId}/${endpointId}/${part}`;
}
