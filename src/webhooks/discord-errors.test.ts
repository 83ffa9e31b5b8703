import { beforeEach, expect, test } from "bun:test";
import { sql } from "kysely";
import { useChatTroubles } from "../../test/support/chat-troubles.ts";
import { type DiscordStandIn, startDiscord } from "../../test/support/discord.ts";
import { until } from "../../test/support/installation.ts";

const {
  bench,
  standIn,
  tried,
  areRecorded,
  healthOf,
  endpointOf,
  passRetries,
  passAllWaits,
  addWitness,
  lookedAgain,
  expectDisabled,
} = useChatTroubles();

const EVENTS = { eventTypes: ["unsubscribed"] };
let discord: DiscordStandIn;
let id: string;

beforeEach(async () => {
  discord = await standIn(startDiscord());
  id = await bench().endpoint("discord", discord.url, EVENTS);
});

const error = (status: number, code: number, message: string) => () =>
  discord.failNext({ status, body: { code, message }, headers: {} });

test("is asked to wait for what became of a message, in the thread that the address names", async () => {
  await bench().endpoint("discord", `${discord.url}?thread_id=1234567890`, EVENTS);
  await bench().happen("unsubscribed");
  await bench().allAre("delivered");
  const inThread = ({ thread_id }: { [name: string]: string }) => thread_id !== undefined;
  expect(discord.queries.toSorted((one, other) => Number(inThread(one)) - Number(inThread(other)))).toEqual([
    { wait: "true" },
    { thread_id: "1234567890", wait: "true" },
  ]);
  expect(discord.answers.map(({ status }) => status)).toEqual([200, 200]);
});

test.each([
  ["404 (10015: Unknown Webhook)", () => discord.end("unknown")],
  ["401 (50027: Invalid Webhook Token)", () => discord.end("token")],
  ["403 (50013: Missing Permissions)", error(403, 50013, "Missing Permissions")],
])("%s disables the endpoint, the others are told, and what was owed stays owed", async (said, end) => {
  await addWitness();
  end();
  await bench().happen("unsubscribed");
  const reason = new RegExp(`^Discord answered ${said.replace(/[()]/g, "\\$&")}\\. .+`);
  await expectDisabled(id, reason, { mend: () => discord.end(null), asked: () => discord.answers.length });
  expect(discord.posted).toHaveLength(1);
});

test("400 ends that message, with what Discord says of it, and is not held against the endpoint", async () => {
  error(400, 50035, "Invalid Form Body")();
  await tried("unsubscribed");
  expect(await bench().deliveries()).toMatchObject([{ status: "failed", dueInS: null }]);
  expect(await healthOf(id)).toMatchObject({ failures: 0, slowedForS: null });
  await tried("unsubscribed");
  expect((await bench().deliveries()).map((each) => each.status)).toEqual(["failed", "delivered"]);
  expect(discord.answers.map(({ status }) => status)).toEqual([400, 200]);
});

test.each([500, 502])("%d is no delivery: the same message comes again", async (status) => {
  discord.failNext({ status, body: {}, headers: {} });
  await tried("unsubscribed");
  expect(await bench().deliveries()).toMatchObject([{ status: "pending", attempts: 1 }]);
  expect(await healthOf(id)).toMatchObject({ failures: 1 });
  await passAllWaits();
  await bench().allAre("delivered");
  expect(discord.posted).toHaveLength(1);
});

test("429 slows its webhook by the fraction of seconds it says, and no other", async () => {
  const other = await standIn(startDiscord());
  await bench().endpoint("discord", other.url, EVENTS);
  await bench().stop();
  discord.limitNext(600.25);
  await bench().happenAll(Array(4).fill({ type: "unsubscribed" }));
  await sql`update webhook_endpoint set max_concurrency = 1 where id = ${id}`.execute(bench().db);
  bench().start();
  await until(async () => other.posted.length === 4 && (await healthOf(id)).slowedForS !== null);
  const { failures, slowedForS } = await healthOf(id);
  expect([failures, Math.round((slowedForS ?? 0) / 60)]).toEqual([0, 10]);
  await areRecorded();
  expect(discord.answers).toHaveLength(1);
  await passAllWaits();
  await bench().allAre("delivered");
  expect([discord.posted.length, other.posted.length]).toEqual([4, 4]);
});

test("429 with global slows every webhook of Discord, and nobody else", async () => {
  const other = await standIn(startDiscord());
  await bench().endpoint("discord", other.url, { eventTypes: ["resubscribed"] });
  await addWitness();
  discord.limitNext(600, { isGlobal: true });
  await tried("unsubscribed");
  await bench().happen("resubscribed");
  await lookedAgain();
  await lookedAgain();
  expect([discord.answers.length, other.answers.length]).toEqual([1, 0]);
  bench().shiftMs(601_000);
  bench().wake();
  await until(async () => other.posted.length === 1);
  await passAllWaits();
  await bench().allAre("delivered");
  expect(discord.posted).toHaveLength(1);
});

test("a page of Discord's front, which blocks our address, disables nobody", async () => {
  discord.failNext({ status: 403, body: ["<html>Access denied</html>"], headers: {} });
  await tried("unsubscribed");
  expect(await endpointOf(id)).toMatchObject({ status: "enabled" });
  bench().shiftMs(61_000);
  await passAllWaits();
  await bench().allAre("delivered");
});

test("two webhooks with limits of their own get everything, each as fast as it may, and none is refused", async () => {
  const limited = await standIn(startDiscord({ isLimited: true }));
  await bench().endpoint("discord", limited.url, { ...EVENTS, maxConcurrency: 1 });
  await bench().happenAll(Array(12).fill({ type: "unsubscribed" }));
  await until(async () => discord.posted.length === 12);
  expect(limited.posted.length).toBeLessThan(12);
  await until(async () => {
    await passRetries();
    return (await bench().deliveries()).every((each) => each.status === "delivered");
  });
  expect(limited.posted).toHaveLength(12);
  expect(limited.answers.filter(({ status }) => status !== 200)).toEqual([]);
});
