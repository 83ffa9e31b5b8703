import { beforeEach, expect, test } from "bun:test";
import { useChatTroubles } from "../../test/support/chat-troubles.ts";
import { until } from "../../test/support/installation.ts";
import { SLACK_ENDINGS, type SlackEnding, type SlackStandIn, startSlack } from "../../test/support/slack.ts";

const {
  bench,
  standIn,
  tried,
  areDueAfter,
  healthOf,
  passRetries,
  passAllWaits,
  addWitness,
  lookedAgain,
  expectDisabled,
} = useChatTroubles();

const EVENTS = { eventTypes: ["message_*", "unsubscribed"] };
let slack: SlackStandIn;
let id: string;

beforeEach(async () => {
  slack = await standIn(startSlack());
  id = await bench().endpoint("slack", slack.url, EVENTS);
});

const endings: readonly SlackEnding[] = [
  "invalid_token",
  "action_prohibited",
  "posting_to_general_channel_denied",
  "team_disabled",
  "channel_not_found",
  "no_service",
  "no_team",
  "channel_is_archived",
];

test.each(endings)(
  "%s disables the endpoint with what can be done, the others are told, and what was owed stays owed",
  async (ending) => {
    await addWitness();
    slack.end(ending);
    await bench().happen("unsubscribed");
    await expectDisabled(id, new RegExp(`^Slack answered ${SLACK_ENDINGS[ending]} \\(${ending}\\)\\. .+`), {
      mend: () => slack.end(null),
      asked: () => slack.answers.length,
    });
    expect(slack.posted).toHaveLength(1);
  },
);

test.each([
  [400, "invalid_payload"],
  [400, "no_text"],
  [400, "msg_blocks_too_long"],
  [413, ""],
])(
  "%d %s ends that message, which is never sent again, and is not held against the endpoint",
  async (status, word) => {
    slack.failNext(status, word);
    const attempt = await tried("message_bounced");
    expect(attempt).toMatchObject({
      outcome: "failed",
      status,
      failure: `http_${status}`,
      responseBody: word,
    });
    expect((await bench().deliveries()).map((each) => [each.status, each.dueInS])).toEqual([
      ["failed", null],
    ]);
    expect(await healthOf(id)).toMatchObject({ failures: 0, slowedForS: null, isOpen: false });
    await tried("unsubscribed");
    expect((await bench().deliveries()).map((each) => each.status)).toEqual(["failed", "delivered"]);
    expect(slack.answers.map((answer) => answer.status)).toEqual([status, 200]);
  },
);

test("429 is waited for as long as it says, by every message, and none is lost", async () => {
  await addWitness();
  slack.failNext(429, "rate_limited", { "Retry-After": "3600" });
  const attempt = await tried("message_bounced");
  expect(attempt).toMatchObject({ outcome: "failed", status: 429 });
  const { failures, slowedForS } = await healthOf(id);
  expect([failures, Math.round((slowedForS ?? 0) / 60)]).toEqual([0, 60]);
  await bench().happenAll(Array(5).fill({ type: "unsubscribed" }));
  await passRetries();
  await lookedAgain();
  expect(slack.answers).toHaveLength(1);
  await passAllWaits();
  await bench().allAre("delivered");
  expect(slack.posted).toHaveLength(6);
});

test("a channel that takes few messages a second gets all of them, each once", async () => {
  const limited = await standIn(startSlack({ isLimited: true, now: () => Date.now() * 4 }));
  await bench().endpoint("slack", limited.url, EVENTS);
  await bench().happenAll(Array(9).fill({ type: "unsubscribed" }));
  await until(async () => {
    await passRetries();
    return (await bench().deliveries()).every((each) => each.status === "delivered");
  });
  expect(limited.answers.map(({ status }) => status)).toContain(429);
  expect([limited.posted.length, slack.posted.length]).toEqual([9, 9]);
});

test.each([
  [500, "rollup_error", "http_500"],
  [503, "", "http_503"],
  [200, "<html>Sign in</html>", "not_ok"],
  [200, "", "not_ok"],
  [302, "", "http_302"],
])("%d %p is no delivery: the same message comes again by the schedule", async (status, body, failure) => {
  slack.failNext(status, body);
  const attempt = await tried("unsubscribed");
  expect(attempt).toMatchObject({ outcome: "failed", status, failure });
  expect((await bench().deliveries()).map((each) => each.status)).toEqual(["pending"]);
  expect(await areDueAfter(5)).toBe(true);
  expect(await healthOf(id)).toMatchObject({ failures: 1 });
  await passAllWaits();
  await bench().allAre("delivered");
  expect(slack.posted).toHaveLength(1);
  expect(await healthOf(id)).toMatchObject({ failures: 0 });
});
