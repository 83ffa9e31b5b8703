import { expect, test } from "bun:test";
import { createTopics } from "./topics.ts";

const MINE = { topicArn: "mine", customerId: "me" };

function world() {
  const rows = [MINE];
  let time = 0;
  let reads = 0;
  const topics = createTopics(
    async () => {
      reads += 1;
      const seen = [...rows];
      await Promise.resolve();
      return seen;
    },
    () => time,
  );
  return {
    topics,
    rows,
    reads: () => reads,
    pass(ms: number) {
      time += ms;
    },
  };
}

test("a topic that is allowed is known for seconds without asking again", async () => {
  const { topics, reads, pass } = world();
  for (let asked = 0; asked < 100; asked += 1) expect(await topics.find("mine", true)).toEqual(MINE);
  pass(4_999);
  await topics.find("mine", true);
  expect(reads()).toBe(1);
  pass(1);
  await topics.find("mine", true);
  expect(reads()).toBe(2);
});

test("a topic that is allowed while the list is being read is found by who asks after that", async () => {
  const { topics, rows, reads } = world();
  const early = topics.find("new", true);
  rows.push({ topicArn: "new", customerId: "me" });
  const late = await Promise.all(Array.from({ length: 50 }, () => topics.find("new", true)));
  expect(await early).toBeNull();
  expect(late.every((topic) => topic !== null)).toBe(true);
  expect(reads()).toBe(2);
});

test("whoever only claims to be a topic makes nobody look", async () => {
  const { topics, reads } = world();
  for (let asked = 0; asked < 100; asked += 1) expect(await topics.find(`${asked}`, false)).toBeNull();
  expect(reads()).toBe(1);
});

test("a topic that is taken off the list is gone within seconds", async () => {
  const { topics, rows, pass } = world();
  await topics.find("mine", true);
  rows.pop();
  pass(5_000);
  expect(await topics.find("mine", true)).toBeNull();
});

test("when the database does not answer, who asks is told, and the next one asks again", async () => {
  let isAway = true;
  const topics = createTopics(
    async () => {
      if (isAway) throw new Error("away");
      return [MINE];
    },
    () => 0,
  );
  const answers = await Promise.allSettled([topics.find("mine", true), topics.find("mine", true)]);
  expect(answers.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  isAway = false;
  expect(await topics.find("mine", true)).toEqual(MINE);
});
