import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, statSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { type Event, newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import type { SubscriptionHit } from "../tracking/queries.ts";
import { decodeEntry, type Entry, encodeEntry } from "./entry.ts";
import { inspectSpools, openSpool, type Spool, SpoolFullError } from "./spool.ts";

const NOW_MS = Date.parse("2026-11-20T10:00:00Z");
const LIMITS = { maxBytes: 64 * 1024 ** 2, maxEvents: 1_000_000 };

let dataDir = "";
let opened: Spool[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), "edgr-spool-"));
});
afterEach(async () => {
  for (const spool of opened.splice(0)) spool.close();
  await rm(dataDir, { recursive: true, force: true });
});

function open(limits: Partial<typeof LIMITS> = {}): Spool {
  const spool = openSpool(dataDir, { ...LIMITS, ...limits }, () => NOW_MS);
  opened.push(spool);
  return spool;
}

/** As a process that ends leaves it. */
function close(spool: Spool): void {
  opened = opened.filter((other) => other !== spool);
  spool.close();
}

function hits(count: number, more: Partial<Event> = {}): Entry[] {
  return Array.from({ length: count }, () => ({
    kind: "event",
    event: newEvent({
      id: newId(),
      type: "email_opened",
      at: new Date(NOW_MS),
      customerId: newId(),
      ...more,
    }),
  }));
}

const idsOf = (entries: readonly Entry[]) => entries.map((entry) => encodeEntry(entry).id);
const idsIn = (spool: Spool) => spool.first(1_000_000).map(({ id }) => id);

describe("an entry", () => {
  test("comes back as it went in, whatever is in it", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }),
        fc.date({ noInvalidDate: true }),
        fc.jsonValue(),
        (text, at, json) => {
          const data = { clickedUrl: text, more: JSON.parse(JSON.stringify(json)) };
          const [entry] = hits(1, { at, agent: "human", userAgent: text.toWellFormed(), data });
          if (entry === undefined || Math.abs(at.getUTCFullYear() - 5000) > 4999) return;
          expect(decodeEntry(encodeEntry(entry))).toEqual(entry);
        },
      ),
    );
  });

  test("of a subscription does too", () => {
    const hit: SubscriptionHit = {
      eventId: newId(),
      customerId: newId(),
      messageId: newId(),
      at: new Date(NOW_MS),
      agent: "human",
      agentRule: "no-rule",
      userAgent: null,
      ip: "203.0.113.7",
      via: "one_click",
    };
    for (const kind of ["unsubscribe", "resubscribe"] as const) {
      expect(decodeEntry(encodeEntry({ kind, hit }))).toEqual({ kind, hit });
    }
  });
});

describe("what is kept", () => {
  test("comes out in the order it went in, also in the next process", () => {
    const entries = hits(50);
    const spool = open();
    spool.append(entries.slice(0, 20));
    spool.append(entries.slice(20));
    expect(idsIn(spool)).toEqual(idsOf(entries));
    close(spool);
    expect(idsIn(open())).toEqual(idsOf(entries));
  });

  test("is forgotten when it is settled, and nothing behind it", () => {
    const entries = hits(10);
    const spool = open();
    spool.append(entries);
    spool.settle(spool.first(4).at(-1)?.number ?? 0, []);
    expect(idsIn(spool)).toEqual(idsOf(entries.slice(4)));
    expect(spool.isEmpty()).toBe(false);
    spool.settle(spool.first(6).at(-1)?.number ?? 0, []);
    expect(spool.isEmpty()).toBe(true);
    expect(spool.contents()).toMatchObject({ events: 0, oldestAt: null, setAside: 0 });
  });

  test("is set aside with the reason when it is refused, and read by others while the process lives", () => {
    const [good, bad] = hits(2);
    const spool = open();
    if (good === undefined || bad === undefined) return;
    spool.append([bad, good]);
    spool.settle(spool.first(2).at(-1)?.number ?? 0, [
      { number: spool.first(1)[0]?.number ?? 0, reason: "is bad" },
    ]);
    expect(spool.contents()).toMatchObject({ events: 0, setAside: 1 });
    const refused = [
      { id: idsOf([bad])[0] ?? "", kind: "event", reason: "is bad", refusedAt: new Date(NOW_MS) },
    ];
    const file = path.join(dataDir, "spool/1.db");
    expect(inspectSpools(dataDir)).toEqual([{ file, events: 0, setAside: 1, refused }]);
    close(spool);
    expect(open().contents().setAside).toBe(1);
  });

  test("can be read by its owner alone: addresses are in it", () => {
    open();
    expect(statSync(path.join(dataDir, "spool")).mode & 0o777).toBe(0o700);
    expect(statSync(path.join(dataDir, "spool/1.db")).mode & 0o777).toBe(0o600);
  });

  test("gives its space back to the disk when all of it is settled", () => {
    const spool = open();
    spool.append(hits(5_000));
    const file = path.join(dataDir, "spool/1.db");
    const used = spool.contents().bytes;
    expect(used).toBeGreaterThan(1024 ** 2);
    spool.settle(spool.first(5_000).at(-1)?.number ?? 0, []);
    expect(statSync(file).size).toBeLessThan(used / 10);
  });
});

describe("a full spool", () => {
  test.each([{ maxEvents: 100 }, { maxBytes: 100 * 1024 }])(
    "takes nothing more (%p), and takes again when it has room",
    (limit) => {
      const spool = open(limit);
      while (!spool.contents().isFull) spool.append(hits(10));
      const before = idsIn(spool);
      expect(() => spool.append(hits(1))).toThrow(SpoolFullError);
      expect(idsIn(spool)).toEqual(before);
      spool.settle(spool.first(before.length / 2).at(-1)?.number ?? 0, []);
      spool.append(hits(1));
      expect(idsIn(spool)).toHaveLength(before.length / 2 + 1);
    },
  );
});

describe("processes on one data directory", () => {
  test("have a spool each", () => {
    const [first, second] = [open(), open()];
    const [a, b] = [hits(3), hits(3)];
    first.append(a);
    second.append(b);
    expect(idsIn(first)).toEqual(idsOf(a));
    expect(idsIn(second)).toEqual(idsOf(b));
  });

  test("take over what others left, behind their own, and leave the living alone", () => {
    const [first, second, third] = [open(), open(), open()];
    const [a, b, c] = [hits(3), hits(3), hits(3)];
    first.append(a);
    second.append(b);
    third.append(c);
    close(second);
    close(third);
    const next = open();
    expect(idsIn(next)).toEqual([...idsOf(b), ...idsOf(c)]);
    expect(idsIn(first)).toEqual(idsOf(a));
    expect(existsSync(path.join(dataDir, "spool/3.db"))).toBe(false);
  });
});

describe("whose links ask first", () => {
  test("is everybody's until the database has said, and then what it said last, also in the next process", () => {
    const [asking, other] = [newId(), newId()];
    const spool = open();
    expect([asking, other].map(spool.mustConfirm)).toEqual([true, true]);
    spool.setConfirming([asking]);
    expect([asking, other].map(spool.mustConfirm)).toEqual([true, false]);
    spool.setConfirming([]);
    spool.setConfirming([asking]);
    close(spool);
    expect([asking, other].map(open().mustConfirm)).toEqual([true, false]);
  });
});

describe("a spool that can't be used says so in a sentence", () => {
  test("because its file is something else", async () => {
    close(open());
    await writeFile(
      path.join(dataDir, "spool/1.db"),
      "no database at all, and longer than a header".repeat(100),
    );
    expect(open).toThrow(/^The spool \S+1\.db can't be used \(.*\)\. Move it away and keep it\.$/);
  });

  test("because its folder is a file", async () => {
    chmodSync(dataDir, 0o700);
    await writeFile(path.join(dataDir, "spool"), "");
    expect(open).toThrow(/^EDGR can't keep a spool in \S+spool \(.*\)\.$/);
  });
});
