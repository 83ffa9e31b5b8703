import { describe, expect, test } from "bun:test";
import { newEvent } from "../events/event.ts";
import { newId } from "../events/id.ts";
import type { Entry } from "./entry.ts";
import { createFailover, type Failover, type FailoverState } from "./failover.ts";

class Refusal extends Error {}

const event = newEvent({ id: newId(), type: "email_opened", at: new Date(), customerId: newId() });
const ENTRY: Entry = { kind: "event", event };

/** A spool of numbers and a database that can be taken away, each write of which waits until it is let go. */
function setUp({ isThere = true, spooled = 0 } = {}) {
  const world = {
    isAway: !isThere,
    hangs: false,
    spooled,
    drained: 0,
    written: 0,
    states: [] as FailoverState[],
  };
  const changed: (() => void)[] = [];
  let held: PromiseWithResolvers<void> | null = null;
  const failover: Failover = createFailover({
    spool: {
      append(entries: readonly Entry[]) {
        world.spooled += entries.length;
      },
      isEmpty: () => world.spooled === 0,
    },
    isThere,
    async probe() {
      if (world.isAway) throw new Error("away");
    },
    async drain() {
      await held?.promise;
      if (world.isAway) throw new Error("away");
      world.drained += world.spooled;
      world.spooled = 0;
    },
    isRefusal: (error) => error instanceof Refusal,
    answerWithinMs: 20,
    random: () => 0,
    onState(state) {
      world.states.push(state);
      for (const resolve of changed.splice(0)) resolve();
    },
  });
  return {
    world,
    failover,
    holdDrain() {
      held = Promise.withResolvers();
      return held.resolve;
    },
    write: () =>
      failover.write(
        async () => {
          if (world.isAway) throw new Error("away");
          if (world.hangs) await new Promise(() => {});
          world.written += 1;
          return "written";
        },
        () => {
          failover.keep([ENTRY]);
          return "kept";
        },
      ),
    async reached(state: FailoverState) {
      while (failover.state() !== state) await new Promise<void>((resolve) => changed.push(resolve));
    },
  };
}

describe("while the database is there", () => {
  test("nothing goes into the spool", async () => {
    const { world, failover, write } = setUp();
    expect(await Promise.all([write(), write()])).toEqual(["written", "written"]);
    expect(world).toMatchObject({ written: 2, spooled: 0, states: [] });
    await failover.stop();
  });

  test("what it refuses for its contents is thrown, and is no outage", async () => {
    const { failover, world } = setUp();
    const refused = failover.write(
      async () => {
        throw new Refusal();
      },
      () => "kept",
    );
    await expect(refused).rejects.toBeInstanceOf(Refusal);
    expect([failover.state(), world.spooled]).toEqual(["database", 0]);
    await failover.stop();
  });
});

describe("an outage", () => {
  test.each(["isAway", "hangs"] as const)(
    "(%s) sends the first write into the spool, and those after it at once",
    async (how) => {
      const { world, failover, write, reached } = setUp();
      world[how] = true;
      expect(await write()).toBe("kept");
      expect(failover.state()).not.toBe("database");
      world.isAway = true;
      await reached("away");
      expect(await write()).toBe("kept");
      expect(world).toMatchObject({ written: 0, spooled: 2 });
      world.isAway = false;
      world.hangs = false;
      await reached("database");
      expect(await write()).toBe("written");
      expect(world).toMatchObject({ written: 1, spooled: 0, drained: 2 });
      await failover.stop();
    },
  );

  test("that was there before the process is no reason not to begin", async () => {
    const { world, failover, write, reached } = setUp({ isThere: false });
    expect(await write()).toBe("kept");
    world.isAway = false;
    await reached("database");
    expect(world).toMatchObject({ spooled: 0, drained: 1 });
    await failover.stop();
  });
});

describe("what waits in the spool", () => {
  test("from the process before goes first", async () => {
    const { world, failover, reached } = setUp({ spooled: 3 });
    expect(failover.state()).toBe("draining");
    await reached("database");
    expect(world.drained).toBe(3);
    await failover.stop();
  });

  test("is not overtaken: who comes meanwhile waits for one batch and then for its turn", async () => {
    const edge = setUp({ spooled: 3 });
    const letGo = edge.holdDrain();
    const late = edge.write();
    expect(edge.world.written).toBe(0);
    letGo();
    expect(await late).toBe("written");
    expect(edge.world.drained).toBe(3);
    await edge.failover.stop();
  });

  test("leaves it also when it came in while the database was there", async () => {
    const { world, failover, reached } = setUp();
    failover.keep([ENTRY]);
    expect(failover.state()).toBe("draining");
    await reached("database");
    expect(world.drained).toBe(1);
    await failover.stop();
  });

  test("stays there when the process stops, and what comes then joins it", async () => {
    const { world, failover, write } = setUp({ isThere: false });
    await failover.stop();
    expect(await write()).toBe("kept");
    expect(world.spooled).toBe(1);
  });
});
