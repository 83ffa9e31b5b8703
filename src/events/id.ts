import { randomFillSync } from "node:crypto";

// One refill serves 409 ids: asking the system for ten bytes at a time costs more than the id itself.
const pool = Buffer.alloc(4096 - (4096 % 10));
let used = pool.length;

/** Before every id, and nobody's. */
export const NIL_ID = "00000000-0000-0000-0000-000000000000";

let lastMs = 0;
let sequence = 0;

/**
 * A new UUIDv7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, a 12-bit sequence within the millisecond that
 * begins anywhere in its lower half, and 62 random bits. Ids sort in the order in which one process made them (up to
 * some two thousand a millisecond), so lists show things in their order and tables stay appended at their end.
 * @param nowMs Unix time in milliseconds
 */
export function newId(nowMs: number = Date.now()): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const random = pool.toString("hex", used, used + 10);
  used += 10;
  const first = Number.parseInt(random.slice(0, 3), 16) & 0x7ff;
  sequence = nowMs === lastMs && sequence < 0xfff ? sequence + 1 : first;
  lastMs = nowMs;
  const time = nowMs.toString(16).padStart(12, "0");
  const counted = sequence.toString(16).padStart(3, "0");
  const variant = ((Number.parseInt(random[3] ?? "0", 16) & 0x3) | 0x8).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counted}-${variant}${random.slice(4, 7)}-${random.slice(7, 19)}`;
}

/** The 16 bytes of a UUID as 22 base64url characters: how ids travel in tokens. */
export function toShortId(id: string): string {
  return Buffer.from(id.replaceAll("-", ""), "hex").toString("base64url");
}

/** The UUID of 22 base64url characters, or null when they are not exactly 16 canonical bytes. */
export function fromShortId(short: string): string | null {
  if (short.length !== 22) return null;
  const bytes = Buffer.from(short, "base64url");
  if (bytes.length !== 16 || bytes.toString("base64url") !== short) return null;
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
