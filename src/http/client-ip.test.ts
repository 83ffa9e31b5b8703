import { describe, expect, test } from "bun:test";
import { isIP } from "node:net";
import fc from "fast-check";
import { createClientIp } from "./client-ip.ts";

const behindProxy = createClientIp(["10.0.0.0/8", "127.0.0.1", "2001:db8:1::/48"]);
const direct = createClientIp([]);

describe("without trusted proxies", () => {
  test("the client is the peer, whatever it sends", () => {
    expect(direct("203.0.113.7", null)).toBe("203.0.113.7");
    expect(direct("203.0.113.7", "198.51.100.1")).toBe("203.0.113.7");
    expect(direct("127.0.0.1", "198.51.100.1")).toBe("127.0.0.1");
  });

  test("IPv4 in IPv6 is IPv4, and a zone is dropped", () => {
    expect(direct("::ffff:203.0.113.7", null)).toBe("203.0.113.7");
    expect(direct("::ffff:cb00:7107", null)).toBe("203.0.113.7");
    expect(direct("fe80::1%eth0", null)).toBe("fe80::1");
    expect(direct("2001:DB8:0:0:0:0:0:1", null)).toBe("2001:db8::1");
  });

  test("a peer without an address has none", () => {
    expect(direct(null, "198.51.100.1")).toBeNull();
    expect(behindProxy(null, "198.51.100.1")).toBeNull();
    expect(direct("", null)).toBeNull();
    expect(direct("/run/edgr.sock", null)).toBeNull();
  });
});

describe("behind a trusted proxy", () => {
  test.each([
    ["the client is what the proxy wrote", "203.0.113.7", "203.0.113.7"],
    ["what the client wrote before that is not believed", "1.1.1.1, 203.0.113.7", "203.0.113.7"],
    ["a chain of trusted proxies is walked", "203.0.113.7, 10.1.2.3, 127.0.0.1", "203.0.113.7"],
    ["an untrusted hop ends the walk", "1.1.1.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"],
    ["when all are trusted the first is the client", "10.9.9.9, 10.8.8.8", "10.9.9.9"],
    ["ports are dropped", "203.0.113.7:5678", "203.0.113.7"],
    ["ports after IPv6 are dropped", "[2001:db8::7]:99", "2001:db8::7"],
    ["brackets are dropped", "[2001:db8::7]", "2001:db8::7"],
    ["IPv6 is taken without brackets", "2001:db8::7", "2001:db8::7"],
    ["IPv4 in IPv6 is IPv4", "203.0.113.7, ::ffff:10.1.2.3", "203.0.113.7"],
    ["spaces do not matter", "  203.0.113.7  ,10.0.0.2", "203.0.113.7"],
  ])("%s", (_name, forwardedFor, client) => {
    expect(behindProxy("10.0.0.1", forwardedFor)).toBe(client);
    expect(behindProxy("::ffff:10.0.0.1", forwardedFor)).toBe(client);
    expect(behindProxy("2001:db8:1::5", forwardedFor)).toBe(client);
  });

  test("a peer that is not trusted is the client itself", () => {
    expect(behindProxy("203.0.113.9", "198.51.100.1")).toBe("203.0.113.9");
    expect(behindProxy("2001:db8:2::1", "198.51.100.1")).toBe("2001:db8:2::1");
  });

  test.each([
    "unknown",
    "",
    ",",
    "1.1.1.1,",
    "256.1.1.1",
    "0x7f.1",
    "127.1",
    "010.0.0.1",
    "1.2.3.4:",
    "1.2.3.4:123456",
    "[::1",
    "[::1]x",
    "::1]:80",
    "1.2.3.4.5",
    "203.0.113.7 10.0.0.1",
    "'; drop table",
    "\0",
  ])("garbage stops the walk at whom we last knew: %p", (garbage) => {
    expect(behindProxy("10.0.0.1", garbage)).toBe("10.0.0.1");
    expect(behindProxy("10.0.0.1", `203.0.113.7, ${garbage}, 10.0.0.2`)).toBe("10.0.0.2");
  });
});

test("a range written as IPv4 in IPv6 is that IPv4 range", () => {
  const mapped = createClientIp(["::ffff:10.0.0.0/104", "::ffff:192.0.2.1"]);
  expect(mapped("10.0.0.1", "203.0.113.7")).toBe("203.0.113.7");
  expect(mapped("192.0.2.1", "203.0.113.7")).toBe("203.0.113.7");
  expect(mapped("192.0.2.2", "203.0.113.7")).toBe("192.0.2.2");
});

test("whatever is sent, the answer is an address without a zone", () => {
  const hop = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.ipV6().map((address) => `[${address}]:443`),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(hop, { maxLength: 6 }), (hops) => {
      const client = behindProxy("10.0.0.1", hops.join(", "));
      expect(client !== null && isIP(client) > 0 && !client.includes("%")).toBe(true);
    }),
  );
});

test("what a client adds in front never changes whom an honest proxy reports", () => {
  const untrusted = fc.ipV4().filter((address) => !/^(10|127)\./.test(address));
  fc.assert(
    fc.property(fc.string(), untrusted, (forged, client) => {
      expect(behindProxy("10.0.0.1", `${forged}, ${client}`)).toBe(client);
    }),
  );
});
