import { afterAll, beforeAll, expect, test } from "bun:test";
import { SLACK_ENDINGS, type SlackStandIn, startSlack } from "./slack.ts";

let slack: SlackStandIn;
let limited: SlackStandIn;
let nowMs = 0;

const ENDINGS = [
  "invalid_token",
  "action_prohibited",
  "team_disabled",
  "no_service",
  "channel_is_archived",
] as const;

beforeAll(async () => {
  slack = await startSlack();
  limited = await startSlack({ isLimited: true, now: () => nowMs });
});
afterAll(() => Promise.all([slack.close(), limited.close()]));

async function post(body: object | string, to = slack, url = to.url) {
  const sent = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(url, { method: "POST", body: sent });
  return {
    status: response.status,
    body: await response.text(),
    retryAfter: response.headers.get("Retry-After"),
  };
}

const section = (text: string, type = "mrkdwn") => ({ type: "section", text: { type, text } });

test.each([
  ["{", "invalid_payload"],
  ["[]", "invalid_payload"],
  [{}, "no_text"],
  [{ text: 5 }, "invalid_payload"],
  [{ blocks: Array(51).fill({ type: "divider" }) }, "invalid_blocks"],
  [{ blocks: [section("x".repeat(3_001))] }, "invalid_blocks"],
  [{ blocks: [section("")] }, "invalid_blocks"],
  [{ blocks: [{ type: "unknown" }] }, "invalid_blocks"],
  [{ blocks: Array(5).fill(section("x".repeat(2_900))) }, "msg_blocks_too_long"],
  [{ attachments: Array(101).fill({}) }, "too_many_attachments"],
])("%j is refused with %s", async (body, error) => {
  expect(await post(body)).toMatchObject({ status: 400, body: error });
});

test("what mentions, links and formats is seen as that", async () => {
  const text =
    "<!channel> <@U1> <https://a.example|here> *bold* :tada: https://b.example &lt;x&gt; c@d.example";
  expect(await post({ text: "<!here>", blocks: [section(text)] })).toMatchObject({ status: 200, body: "ok" });
  const message = slack.posted.at(-1);
  expect(message?.notified.mentions).toEqual(["!here"]);
  expect(message?.mayUnfurl).toBe(true);
  expect(message?.shown.mentions).toEqual(["!channel", "@U1"]);
  expect(message?.shown.links.map(({ url }) => url)).toEqual([
    "https://a.example",
    "https://b.example",
    "c@d.example",
  ]);
  expect(message?.shown.formats).toEqual(["*bold*", ":tada:"]);
  expect(message?.shown.text).toContain("<x>");
});

test("plain text mentions, links and formats nothing, but for its emoji", async () => {
  const text = "<!channel> *bold* :tada: https://b.example &amp;lt;";
  await post({ blocks: [section(text, "plain_text")] });
  expect(slack.posted.at(-1)?.shown).toEqual({
    text: "<!channel> *bold* :tada: https://b.example &lt;",
    mentions: [],
    links: [],
    formats: [":tada:"],
  });
});

test("a webhook that can't be used any more says why", async () => {
  for (const ending of ENDINGS) {
    slack.end(ending);
    expect(await post({ text: "hi" })).toMatchObject({ status: SLACK_ENDINGS[ending], body: ending });
  }
  slack.end(null);
  expect(await post({ text: "hi" })).toMatchObject({ status: 200 });
  expect(await post({ text: "hi" }, slack, `${slack.url}x`)).toMatchObject({
    status: 404,
    body: "no_service",
  });
});

test("an answer can be given beforehand, and keeps the message out", async () => {
  const before = slack.posted.length;
  slack.failNext(503, "later", { "Retry-After": "7" });
  expect(await post({ text: "hi" })).toEqual({ status: 503, body: "later", retryAfter: "7" });
  expect(slack.posted.length).toBe(before);
  expect(slack.answers.at(-1)).toEqual({ status: 503, body: "later" });
});

test("more than one a second is too much, after a few", async () => {
  const statuses = async (count: number) => {
    const found: number[] = [];
    for (let sent = 0; sent < count; sent += 1) found.push((await post({ text: "hi" }, limited)).status);
    return found;
  };
  expect(await statuses(5)).toEqual([200, 200, 200, 429, 429]);
  expect(await post({ text: "hi" }, limited)).toMatchObject({ status: 429, retryAfter: "1" });
  nowMs += 1_000;
  expect(await statuses(2)).toEqual([200, 429]);
});
