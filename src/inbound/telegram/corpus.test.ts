import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { createTelegramEdge, type TelegramEdge } from "../../../test/support/telegram-edge.ts";
import { readUpdate, type Update } from "./update.ts";

/** Every update of the corpus, over HTTP: what it yields is what its INDEX says. */
const CORPUS = path.join(import.meta.dirname, "../../../test/corpus");

const { cases } = z
  .object({
    cases: z.array(
      z.object({ file: z.string(), kind: z.string(), expected: z.record(z.string(), z.json()) }),
    ),
  })
  .parse(JSON.parse(readFileSync(path.join(CORPUS, "INDEX.json"), "utf8")));

const updates = cases.filter(({ kind }) => kind.startsWith("telegram.update."));
const readCase = (file: string) => readFileSync(path.join(CORPUS, file), "utf8");

let edge: TelegramEdge;

beforeAll(async () => {
  edge = await createTelegramEdge();
});
afterAll(() => edge.close());
beforeEach(() => edge.forget());

test("every case of Telegram is an update, or an answer of its API", () => {
  const all = cases.filter(({ file }) => file.startsWith("telegram/"));
  const answers = all.filter(({ kind }) => kind === "telegram.api-response");
  expect(updates.length).toBe(14);
  expect(updates.length + answers.length).toBe(all.length);
});

/** What INDEX says of a case, as far as our reading of it says it. */
function said({ id, kind, content }: Update): { [name: string]: unknown } {
  const base = { update_id: id, kind };
  const message = "message" in content ? content.message : null;
  if (message !== null)
    return {
      ...base,
      chatId: String(message.chat.id),
      chatType: message.chat.type,
      fromId: String(message.from?.id),
      messageId: message.messageId,
      text: message.text,
      ...(message.entities.length > 0 ? { html: message.html } : {}),
      ...(message.replyToMessageId === null ? {} : { replyToMessageId: message.replyToMessageId }),
    };
  const from = "from" in content ? String(content.from?.id) : null;
  if (content.type === "callback")
    return { ...base, fromId: from, data: content.data, chatId: content.chat?.id ?? null };
  return { ...base, fromId: from };
}

describe("an update of the corpus", () => {
  test.each(updates.map((item) => [item.file, item] as const))("%s", async (file, { expected }) => {
    const text = readCase(file);
    const response = await edge.post(text);
    expect([response.status, await response.text()]).toEqual([200, "{}"]);
    const bubbles = await edge.bubbles();
    const kept = await edge.kept();
    // Whatever it is, it is in one place, whole.
    expect(bubbles.length + kept.length).toBe(1);
    const update = readUpdate(JSON.parse(text));
    if (update === null) throw new Error("it is an update");
    const { chatId = null, ...rest } = expected;
    expect(said(update)).toEqual(chatId === null && !("data" in rest) ? rest : { ...rest, chatId });
    const [bubble] = bubbles;
    if (bubble === undefined) {
      expect(kept).toMatchObject([
        { updateId: String(expected.update_id), name: expected.kind, status: "ignored", raw: text },
      ]);
      return;
    }
    expect(bubble).toMatchObject({
      chatId: Number(expected.chatId),
      fromId: Number(expected.fromId),
      telegramMessageId: expected.messageId,
      text: expected.text,
      replyToMessageId: expected.replyToMessageId ?? null,
      status: "received",
    });
    if (expected.html !== undefined) expect(bubble.html).toBe(String(expected.html));
    const events = await edge.events();
    expect(events.map(({ type }) => type)).toEqual(expected.kind === "message" ? ["message_received"] : []);
    expect(await edge.contacts()).toMatchObject([
      {
        id: bubble.contactId,
        chatId: 1111111,
        attributes: { firstName: "Test Firstname", username: "Testusername" },
      },
    ]);
  });

  test("becomes the same again when it is told again: nothing is there twice", async () => {
    const text = readCase("telegram/doc-text.json");
    await Promise.all([edge.post(text), edge.post(text), edge.post(text)]);
    await edge.post(text);
    expect((await edge.bubbles()).length).toBe(1);
    expect((await edge.events()).length).toBe(1);
  });
});
