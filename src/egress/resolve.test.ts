import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type DnsServer, startDnsServer } from "../../test/support/dns-server.ts";
import { until } from "../../test/support/installation.ts";
import { createResolve, type Resolve, resolveBySystem } from "./resolve.ts";

const BY_SYSTEM = [{ address: "10.0.0.9", family: 4 }];

let folder: string;
let dns: DnsServer;
let resolve: Resolve;
/** What the system was asked for, and what it does then. */
let asked: string[];
let system: Resolve;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "edgr-hosts-"));
  const hosts = "127.0.0.1 localhost\n# 10.0.0.1 old.example.com\n10.0.0.2\tCRM.example.com crm # ours\n";
  await writeFile(path.join(folder, "hosts"), hosts);
  dns = await startDnsServer();
  dns.set("two.example.com", ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
  dns.set("six.example.com", ["2001:db8::1"]);
  dns.set("alias.example.com", ["two.example.com"]);
  dns.set("crm.example.com", ["192.0.2.9"]);
  dns.set("empty.example.com", []);
  dns.set("silent.example.com", "silence");
});

afterAll(async () => {
  dns.close();
  await rm(folder, { recursive: true });
});

beforeEach(() => {
  asked = [];
  system = async () => BY_SYSTEM;
  resolve = createResolve({
    servers: [dns.address],
    hostsFile: path.join(folder, "hosts"),
    system: (host) => {
      asked.push(host);
      return system(host);
    },
  });
});

const addressesOf = async (host: string) => (await resolve(host)).map(({ address }) => address);

describe("a name that a name server knows", () => {
  test.each([
    ["two.example.com", ["192.0.2.1", "192.0.2.2", "2001:db8::1"]],
    ["six.example.com", ["2001:db8::1"]],
    ["alias.example.com", ["192.0.2.1", "192.0.2.2", "2001:db8::1"]],
  ])("is found with all its addresses, and the system is not asked: %s", async (host, addresses) => {
    expect(await addressesOf(host)).toEqual(addresses);
    expect(asked).toEqual([]);
  });

  test("is looked up anew each time", async () => {
    dns.set("moving.example.com", (turn) => [`192.0.2.${turn + 1}`]);
    expect(await addressesOf("moving.example.com")).toEqual(["192.0.2.1"]);
    expect(await addressesOf("moving.example.com")).toEqual(["192.0.2.2"]);
  });
});

describe("the system is asked", () => {
  test.each(["localhost", "localhost.", "crm", "crm.example.com", "127.0.0.1", "::1"])(
    "at once for %s",
    async (host) => {
      expect(await resolve(host)).toEqual(BY_SYSTEM);
      expect(asked).toEqual([host]);
      expect(dns.asked("crm.example.com")).toBe(0);
    },
  );

  test.each(["unknown.example.com", "empty.example.com", "old.example.com"])(
    "for %s, which no name server knows",
    async (host) => {
      expect(await resolve(host)).toEqual(BY_SYSTEM);
      expect(asked).toEqual([host]);
    },
  );

  test("when there is no name server", async () => {
    const alone = createResolve({
      servers: ["127.0.0.1:1"],
      hostsFile: "/nowhere",
      system: async () => BY_SYSTEM,
    });
    expect(await alone("two.example.com")).toEqual(BY_SYSTEM);
  });

  test("and what it can't find either is not found", async () => {
    system = () => Promise.reject(Object.assign(new Error("unknown"), { code: "ENOTFOUND" }));
    await expect(resolve("unknown.example.com")).rejects.toThrow("unknown");
  });

  test("for one such name at a time, which holds up no other", async () => {
    const first = Promise.withResolvers<typeof BY_SYSTEM>();
    system = (host) => (host === "a.unknown.example.com" ? first.promise : Promise.resolve(BY_SYSTEM));
    dns.set("b.unknown.example.com", []);
    const slow = resolve("a.unknown.example.com");
    await until(async () => asked.length === 1);
    const next = resolve("b.unknown.example.com");
    await until(async () => dns.asked("b.unknown.example.com") === 1);
    expect(await addressesOf("six.example.com")).toEqual(["2001:db8::1"]);
    expect(await resolve("localhost")).toEqual(BY_SYSTEM);
    expect(asked).toEqual(["a.unknown.example.com", "localhost"]);
    first.resolve(BY_SYSTEM);
    expect(await Promise.all([slow, next])).toEqual([BY_SYSTEM, BY_SYSTEM]);
  });
});

test("hundreds of names whose name server is dead hold up no other, and the system is not asked for them", async () => {
  let isOver = false;
  const dead = Array.from({ length: 300 }, () => resolve("silent.example.com"));
  const all = Promise.allSettled(dead).then((ends) => {
    isOver = true;
    return ends;
  });
  expect(await addressesOf("six.example.com")).toEqual(["2001:db8::1"]);
  expect(isOver).toBe(false);
  expect((await all).map(({ status }) => status)).toEqual(Array.from({ length: 300 }, () => "rejected"));
  expect(asked).toEqual([]);
}, 30_000);

test("this machine is found as the system knows it", async () => {
  expect((await resolveBySystem("localhost")).map(({ address }) => address)).toContain("127.0.0.1");
});
