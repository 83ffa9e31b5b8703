import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sql } from "kysely";
import { createTestApp, type TestApp } from "../../test/support/app.ts";
import { TEST_ENCRYPTION_KEY } from "../../test/support/campaigns.ts";
import { startTelegram, type TelegramStandIn, testBotApi } from "../../test/support/telegram.ts";
import { addBot } from "../../test/support/telegram-bot.ts";
import { createEgress, type Egress } from "../egress/client.ts";
import { newId } from "../events/id.ts";
import { createFileFetch, MAX_FILE_BYTES } from "../telegram/files.ts";
import { mediaRoutes } from "./media-routes.ts";

const PNG = Buffer.concat([Buffer.from([0x89]), Buffer.from("PNG\r\n\x1a\n", "latin1"), Buffer.alloc(100)]);
const PHOTO = { type: "photo", fileId: "photo-id", fileName: null, sizeBytes: PNG.length };

let telegram: TelegramStandIn;
let egress: Egress;
let api: TestApp;
let token: string;
let credentialId: string;
/** What waits before a file is fetched, to be let go. */
let gate: Promise<void> | null = null;
let underWay = 0;
let number = 0;
let mostUnderWay = 0;

beforeAll(async () => {
  telegram = await startTelegram();
  egress = createEgress({ allow: ["127.0.0.0/8"], resolve: () => Promise.reject(new Error("no names")) });
  const { apiRoot } = telegram;
  const botApi = testBotApi({ apiRoot, egress });
  const fetchFile = createFileFetch({ api: botApi, apiRoot, egress, withinMs: 2_000 });
  const routes = mediaRoutes({
    encryptionKey: TEST_ENCRYPTION_KEY,
    async fetchFile(...asked) {
      underWay += 1;
      mostUnderWay = Math.max(mostUnderWay, underWay);
      await gate;
      const fetched = await fetchFile(...asked);
      underWay -= 1;
      return fetched;
    },
  });
  api = await createTestApp([routes]);
});
afterAll(async () => {
  await api.close();
  egress.close();
  await telegram.close();
});
beforeEach(async () => {
  gate = null;
  ({ credentialId, token } = await addBot(api.database.db, api.customer.id, telegram));
});

/** A message that somebody sent with this beside it. */
async function received(...media: object[]): Promise<string> {
  const id = newId();
  number += 1;
  const { db } = api.database;
  await sql`
    insert into message (customer_id, id, direction, channel, contact_id, credential_id, to_address, status)
    values (${api.customer.id}, ${id}, 'inbound', 'telegram', ${newId()}, ${credentialId}, '1', 'received')`.execute(
    db,
  );
  await sql`
    insert into inbound_telegram (customer_id, message_id, credential_id, chat_id, telegram_message_id, kind, entities,
      media, raw)
    values (${api.customer.id}, ${id}, ${credentialId}, 42, ${number}, 'photo', '[]',
      ${JSON.stringify(media)}::jsonb, '')`.execute(db);
  return id;
}

const get = (id: string, index: number | string = 0, options = {}) =>
  api.call("GET", `/api/v1/messages/${id}/media/${index}`, options);

/** The status and the problem's code of an answer, in which nothing of the token is. */
async function refused(id: string, index: number | string = 0) {
  const answer = await get(id, index);
  expect(JSON.stringify([answer.text, [...answer.headers]])).not.toContain(token.slice(-20));
  return [answer.status, String(answer.body.type).split(":").at(-1)];
}

describe("a file that somebody sent", () => {
  test("is what Telegram has, in the form in which it may be shown", async () => {
    telegram.setFile(token, "photo-id", { path: "photos/file_1.png", bytes: PNG });
    const id = await received({ type: "contact", phoneNumber: "1" }, PHOTO);
    const response = await api.app.request(
      `/api/v1/messages/${id}/media/1`,
      { headers: { Authorization: `Bearer ${api.customer.key}` } },
      { ip: null },
    );
    expect(response.status).toBe(200);
    expect(Buffer.from(await response.arrayBuffer()).equals(PNG)).toBe(true);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "image/png",
      "content-length": String(PNG.length),
      "content-disposition": `inline; filename="file_1.png"; filename*=UTF-8''file_1.png`,
      "content-security-policy": "default-src 'none'; sandbox",
      "x-content-type-options": "nosniff",
      "cache-control": "private, max-age=86400",
    });
  });

  test("that is no picture is one to save, by the name it was sent with", async () => {
    const bytes = Buffer.from("<script>alert(1)</script>");
    telegram.setFile(token, "page", { path: "documents/file 2.html", bytes });
    const id = await received({ ...PHOTO, type: "document", fileId: "page", fileName: "cat.jpg" });
    const answer = await get(id);
    expect([answer.status, answer.text]).toEqual([200, bytes.toString()]);
    expect(answer.headers.get("Content-Type")).toBe("application/octet-stream");
    expect(answer.headers.get("Content-Disposition")).toStartWith('attachment; filename="cat.jpg"');
  });

  test("is not there in another place, in another message, or for another customer", async () => {
    telegram.setFile(token, "photo-id", { path: "photos/file_1.png", bytes: PNG });
    const id = await received(PHOTO, { type: "location", latitude: 1, longitude: 2 });
    expect(await refused(id, 1)).toEqual([404, "not_found"]);
    expect(await refused(id, 2)).toEqual([404, "not_found"]);
    expect(await refused(newId())).toEqual([404, "not_found"]);
    for (const index of ["-1", "x", "1.5", "1e9"]) expect(await refused(id, index)).toEqual([400, "invalid"]);
    const customer = await api.createCustomer("stranger");
    expect((await get(id, 0, { customer })).status).toBe(404);
    expect((await get(id, 0, { headers: { Authorization: "Bearer no" } })).status).toBe(401);
  });

  test("that Telegram no longer has, or whose bot is gone, is gone", async () => {
    const id = await received(PHOTO);
    expect(await refused(id)).toEqual([410, "gone"]);
    await sql`delete from credential where id = ${credentialId}`.execute(api.database.db);
    expect(await refused(id)).toEqual([410, "gone"]);
  });

  test("is too large as soon as anybody says so, and when nobody does", async () => {
    const asked = telegram.calls.length;
    const announced = await received({ ...PHOTO, sizeBytes: MAX_FILE_BYTES + 1 });
    expect(await refused(announced)).toEqual([413, "too_large"]);
    expect(telegram.calls.length).toBe(asked);
    const path = "videos/file_3.mp4";
    telegram.setFile(token, "photo-id", { path, bytes: PNG, sizeBytes: MAX_FILE_BYTES + 1 });
    expect(await refused(await received(PHOTO))).toEqual([413, "too_large"]);
    const bytes = new Uint8Array(MAX_FILE_BYTES + 1);
    telegram.setFile(token, "photo-id", { path, bytes, sizeBytes: 10 });
    expect(await refused(await received({ ...PHOTO, sizeBytes: null }))).toEqual([413, "too_large"]);
  });

  test("that can't be had just now is to be asked for again", async () => {
    telegram.setFile(token, "photo-id", { path: "photos/file_1.png", bytes: PNG });
    const id = await received(PHOTO);
    telegram.failNext("getFile", "html");
    expect(await refused(id)).toEqual([503, "unavailable"]);
    telegram.failNext("getFile", {
      code: 429,
      description: "Too Many Requests",
      parameters: { retry_after: 60 },
    });
    const answer = await get(id);
    expect([answer.status, answer.headers.get("Retry-After")]).toEqual([503, "5"]);
    expect((await get(id)).status).toBe(200);
    telegram.revoke(token);
    expect(await refused(id)).toEqual([503, "unavailable"]);
  });

  test.each(["../../bot/getMe", "/var/lib/files/a.png", "photos//a.png", "photos/./a.png"])(
    "is not looked for elsewhere, wherever Telegram says that it is: %s",
    async (path) => {
      telegram.setFile(token, "photo-id", { path, bytes: PNG });
      expect(await refused(await received(PHOTO))).toEqual([503, "unavailable"]);
    },
  );
});

test("four files are fetched at a time, some wait, and more are to be asked for again", async () => {
  telegram.setFile(token, "photo-id", { path: "photos/file_1.png", bytes: PNG });
  const id = await received(PHOTO);
  const { promise, resolve } = Promise.withResolvers<void>();
  gate = promise;
  mostUnderWay = 0;
  const ten = Promise.withResolvers<void>();
  const early: number[] = [];
  const answers = Array.from({ length: 30 }, async () => {
    const { status } = await get(id);
    if (early.push(status) === 10) ten.resolve();
    return status;
  });
  await ten.promise;
  expect(new Set(early)).toEqual(new Set([503]));
  resolve();
  const statuses = await Promise.all(answers);
  expect(Map.groupBy(statuses, (status) => status).get(200)?.length).toBe(20);
  expect(mostUnderWay).toBe(4);
});
