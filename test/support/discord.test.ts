import { afterAll, beforeAll, expect, test } from "bun:test";
import { type DiscordStandIn, startDiscord } from "./discord.ts";

let discord: DiscordStandIn;
let limited: DiscordStandIn;
let nowMs = 0;

beforeAll(async () => {
  discord = await startDiscord();
  limited = await startDiscord({ isLimited: true, now: () => nowMs });
});
afterAll(() => Promise.all([discord.close(), limited.close()]));

async function post(body: object | string, { to = discord, query = "?wait=true" } = {}) {
  const sent = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(`${to.url}${query}`, { method: "POST", body: sent });
  const text = await response.text();
  const retryAfter = response.headers.get("Retry-After");
  return { status: response.status, body: text === "" ? null : JSON.parse(text), retryAfter };
}

const embedWith = (parts: object) => ({ embeds: [{ title: "t", ...parts }] });
const field = (name: string, value: string) => ({ fields: [{ name, value }] });

test.each([
  [embedWith({ title: "x".repeat(257) }), ["embeds", "0", "title"], "Must be 256 or fewer in length."],
  [
    embedWith({ description: "x".repeat(4_097) }),
    ["embeds", "0", "description"],
    "Must be 4096 or fewer in length.",
  ],
  [
    embedWith(field("x".repeat(257), "v")),
    ["embeds", "0", "fields", "0", "name"],
    "Must be 256 or fewer in length.",
  ],
  [
    embedWith(field("n", "x".repeat(1_025))),
    ["embeds", "0", "fields", "0", "value"],
    "Must be 1024 or fewer in length.",
  ],
  [embedWith(field("n", "")), ["embeds", "0", "fields", "0", "value"], "This field is required"],
  [
    embedWith({ fields: Array(26).fill({ name: "n", value: "v" }) }),
    ["embeds", "0", "fields"],
    "Must be 25 or fewer in length.",
  ],
  [{ embeds: Array(11).fill({ title: "t" }) }, ["embeds"], "Must be 10 or fewer in length."],
  [{ content: "x".repeat(2_001) }, ["content"], "Must be 2000 or fewer in length."],
  [
    { embeds: [{ description: "x".repeat(4_000) }, { description: "x".repeat(2_001) }] },
    ["embeds"],
    "Embed size exceeds maximum size of 6000",
  ],
])("what is too long is refused, and the field named", async (body, path, message) => {
  const answer = await post(body);
  expect(answer).toMatchObject({ status: 400, body: { code: 50035, message: "Invalid Form Body" } });
  const errors = path.reduce((at, name) => at[name], answer.body.errors);
  expect(errors._errors).toMatchObject([{ message }]);
});

test("an empty message, and what is no JSON, are refused", async () => {
  expect(await post({})).toMatchObject({ status: 400, body: { code: 50006 } });
  expect(await post("{")).toMatchObject({ status: 400, body: { code: 50109 } });
});

test("without wait nobody learns that a message was not kept", async () => {
  const before = discord.posted.length;
  expect(await post({}, { query: "" })).toMatchObject({ status: 204 });
  expect(discord.posted.length).toBe(before);
  expect(await post({ content: "hi" }, { query: "" })).toMatchObject({ status: 204 });
  expect(discord.posted.length).toBe(before + 1);
});

test("what mentions, links and formats is seen as that", async () => {
  const description =
    "@everyone <@1> [here](https://a.example) https://b.example **bold** :tada: <t:0:R>\n- item \\*a\\* \\<@2> \\[x](y)";
  await post({ content: "@here", ...embedWith({ description, color: 255 }) });
  const message = discord.posted.at(-1);
  expect(message?.called).toEqual(["@here"]);
  expect(message?.colors).toEqual([255]);
  expect(message?.shown.mentions).toEqual(["@here", "@everyone", "<@1>"]);
  expect(message?.shown.links.map(({ url }) => url)).toEqual(["https://a.example", "https://b.example"]);
  expect(message?.shown.formats).toEqual(["**", ":tada:", "- "]);
  expect(message?.shown.text).toContain("*a* <@2> [x](y)");
});

test("nobody is called whom allowed_mentions does not allow", async () => {
  await post({ content: "@everyone", allowed_mentions: { parse: [] } });
  expect(discord.posted.at(-1)?.called).toEqual([]);
});

test("a webhook that is gone, or whose token is wrong, says so", async () => {
  discord.end("unknown");
  expect(await post({ content: "hi" })).toMatchObject({ status: 404, body: { code: 10015 } });
  discord.end("token");
  expect(await post({ content: "hi" })).toMatchObject({ status: 401, body: { code: 50027 } });
  discord.end(null);
  expect(await post({ content: "hi" })).toMatchObject({ status: 200 });
});

test("who posts too fast is told when to come again, to the fraction of a second", async () => {
  for (let sent = 0; sent < 5; sent += 1)
    expect((await post({ content: "hi" }, { to: limited })).status).toBe(200);
  nowMs += 500;
  expect(await post({ content: "hi" }, { to: limited })).toMatchObject({
    status: 429,
    retryAfter: "2",
    body: { retry_after: 1.5, global: false },
  });
  nowMs += 1_500;
  expect(await post({ content: "hi" }, { to: limited })).toMatchObject({ status: 200 });
  limited.limitNext(0.25, { isGlobal: true });
  expect(await post({ content: "hi" }, { to: limited })).toMatchObject({
    status: 429,
    body: { retry_after: 0.25, global: true },
  });
});

test("an answer can be given beforehand", async () => {
  discord.failNext({ status: 500, body: { message: "no" }, headers: {} });
  expect(await post({ content: "hi" })).toMatchObject({ status: 500, body: { message: "no" } });
});
