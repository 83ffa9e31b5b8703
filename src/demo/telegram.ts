import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { type Bubble, button, type Journal, type Setup } from "./journal.ts";
import {
  bubbleNumber,
  chatOf,
  habitOf,
  startOf,
  startUpdateId,
  type Update,
  updatesOn,
} from "./telegram-people.ts";
import { type SentToChat, startTelegram } from "./telegram-server.ts";

/** A stand-in for Telegram on loopback with the demo's bot and the people who have a chat with it. */
export type Telegram = {
  apiRoot: string;
  /** Those who have a chat, and of these whose start EDGR has not taken yet. */
  starters(contacts: number): { all: number[]; missing: number[] };
  /** They open their links, which end in these payloads. @throws when EDGR does not take it in time */
  start(links: ReadonlyMap<number, string>): Promise<void>;
  /** Whoever has read a message does what he does. */
  react(bubble: Bubble): void;
  /** Whether EDGR has taken everything that people did. */
  isIdle(): boolean;
  close(): Promise<void>;
};

export const BOT = { id: 7_654_321_098, username: "edgr_demo_bot", name: "EDGR demo" };

const RETRY_MS = 250;
const LOOK_MS = 50;
const START_TIMEOUT_MS = 60_000;
const BLOCKED = { code: 403, description: "Forbidden: bot was blocked by the user" };

const keyboard = z.object({
  inline_keyboard: z.array(z.array(button)),
});

/** What a killed demo's Telegram knew is in the journal: its messages, the webhook, and what EDGR has taken. */
export async function startDemoTelegram(setup: Setup, journal: Journal, contacts: number): Promise<Telegram> {
  const taken = new Set(journal.entries.flatMap((entry) => (entry.kind === "taken" ? [entry.updateId] : [])));
  const underWay = new Set<number>();
  let bubbles = journal.entries.filter(({ kind }) => kind === "bubble").length;

  const server = await startTelegram({
    port: setup.telegramPort,
    isLocal: true,
    retryMs: () => RETRY_MS,
    keep(sent) {
      const number = bubbleNumber(bubbles);
      bubbles += 1;
      journal.add(toBubble(sent, number));
      return number;
    },
    onWebhook: (webhook) => journal.add({ kind: "webhook", webhook }),
    onTaken(updateId) {
      journal.add({ kind: "taken", updateId });
      taken.add(updateId);
      underWay.delete(updateId);
    },
  });
  const known = journal.entries.findLast((entry) => entry.kind === "webhook");
  server.addBot(BOT, { token: setup.botToken, webhook: known?.webhook ?? null });
  for (let number = 0; number < contacts; number += 1)
    if (habitOf(number) === "block") server.answerChat(chatOf(number), BLOCKED);

  function push(update: Update): void {
    if (taken.has(update.update_id)) return;
    underWay.add(update.update_id);
    server.push(setup.botToken, update);
  }

  return {
    apiRoot: server.apiRoot,
    starters(count) {
      const everybody = Array.from({ length: count }, (_, number) => number);
      const all = everybody.filter((number) => habitOf(number) !== null);
      return { all, missing: all.filter((number) => !taken.has(startUpdateId(number))) };
    },
    async start(links) {
      for (const [number, payload] of links) push(startOf(number, payload, new Date()));
      for (const deadline = Date.now() + START_TIMEOUT_MS; underWay.size > 0; await sleep(LOOK_MS))
        if (Date.now() > deadline) throw new Error("EDGR does not take what people write to its bot.");
    },
    react(bubble) {
      for (const update of updatesOn(bubble)) push(update);
    },
    isIdle: () => underWay.size === 0,
    close: server.close,
  };
}

function toBubble({ chatId, text, keyboard: given }: SentToChat, number: number): Bubble {
  const { data } = keyboard.safeParse(given);
  const buttons = data?.inline_keyboard.flat() ?? [];
  return { kind: "bubble", chatId, number, text, buttons, at: new Date().toISOString() };
}
