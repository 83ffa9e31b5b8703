import { expect, test } from "bun:test";
import fc from "fast-check";
import { newId } from "../../events/id.ts";
import { createReplyAddresses } from "./reply-address.ts";

const addresses = createReplyAddresses(Buffer.alloc(32, 7));
const ids = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString("hex"))
  .map((hex) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"));

test("an address leads back to its message, in whatever case it comes", () => {
  fc.assert(
    fc.property(ids, ids, fc.boolean(), (customerId, messageId, isLoud) => {
      const address = addresses.addressOf({ customerId, messageId }, "in.example.com");
      const seen = isLoud ? address.toUpperCase() : address;
      expect(addresses.messageOf(customerId, ["other@in.example.com", seen])).toBe(messageId);
      const [local = ""] = address.split("@");
      expect(local.length).toBeLessThanOrEqual(64);
      expect(local).toMatch(/^reply\+[a-z2-7]+$/);
    }),
  );
});

test("an address of one customer is none of another's", () => {
  fc.assert(
    fc.property(ids, ids, ids, (customerId, other, messageId) => {
      fc.pre(customerId !== other);
      const address = addresses.addressOf({ customerId, messageId }, "in.example.com");
      expect(addresses.messageOf(other, [address])).toBeNull();
    }),
  );
});

test("an address with any character changed, added or missing is none", () => {
  const customerId = newId();
  const address = addresses.addressOf({ customerId, messageId: newId() }, "in.example.com");
  for (let place = 0; place < address.indexOf("@"); place++) {
    for (const char of [..."abcdefghijklmnopqrstuvwxyz234567", "+", ""]) {
      const changed = address.slice(0, place) + char + address.slice(place + 1);
      const added = address.slice(0, place) + char + address.slice(place);
      const others = [changed, added].filter((other) => other !== address);
      expect(addresses.messageOf(customerId, others)).toBeNull();
    }
  }
});

test("another installation's address is none of ours", () => {
  const theirs = createReplyAddresses(Buffer.alloc(32, 8));
  const message = { customerId: newId(), messageId: newId() };
  expect(addresses.messageOf(message.customerId, [theirs.addressOf(message, "in.example.com")])).toBeNull();
});

test("any text is an address of nothing, without an error", () => {
  const token = fc.stringMatching(/^[a-z2-7]{50}$/).map((text) => `reply+${text}@in.example.com`);
  fc.assert(
    fc.property(fc.array(fc.oneof(token, fc.string())), (texts) => {
      expect(addresses.messageOf(newId(), texts)).toBeNull();
    }),
  );
});
