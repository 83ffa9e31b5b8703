import type { Logger } from "pino";
import { composeReplyTelegram } from "../conversations/compose-reply.ts";
import { findReply } from "../conversations/reply-queries.ts";
import type { OpenBot } from "../credentials/telegram-queries.ts";
import type { Db } from "../storage/pool.ts";
import type { BotApi, SentTelegram } from "../telegram/api.ts";
import type { TelegramContent } from "../telegram/content.ts";
import type { BotApiFailed } from "../telegram/failure.ts";
import type { Tokens } from "../tracking/token.ts";
import { type Composed, idsOf, type Outcome, type Outlet, refused } from "./channel.ts";
import type { ChatRates } from "./chat-rates.ts";
import type { CampaignMessage, ClaimedMessage, ReplyMessage } from "./claim-queries.ts";
import { createCompiledNodes } from "./compiled-nodes.ts";
import { compileTelegram, composeTelegram } from "./compose-telegram.ts";
import { telegramNode } from "./telegram-node.ts";
import { failedOutcome } from "./telegram-outcome.ts";
import { keepSent, moveChat, restBot } from "./telegram-queries.ts";
import { untilDone } from "./until-done.ts";

export type TelegramDeps = {
  db: Db;
  api: Pick<BotApi, "sendMessage">;
  tokens: Tokens;
  publicUrl: string;
  now: () => number;
  log: Logger;
};

type Said = { ok: true; content: TelegramContent } | { ok: false; reason: string };

/** Telegram answers within a tenth of a second or a few: half a second's worth keeps a bot at its rate. */
const IN_HAND_S = 0.5;
const MAX_IN_HAND = 50;

/** @param chats kept for as long as the process lives */
export function telegramOutlet(
  customerId: string,
  bot: OpenBot,
  chats: ChatRates,
  deps: TelegramDeps,
): Outlet {
  const { rateLimitPerSecond } = bot.settings;
  return {
    customerId,
    credentialId: bot.id,
    perSecond: rateLimitPerSecond,
    maxInHand: Math.min(MAX_IN_HAND, Math.ceil(rateLimitPerSecond * IN_HAND_S)),
    schedule: { sendWindow: null, warmUp: null },
    open() {
      const compose = createCompose(deps);
      return {
        close() {},
        async compose(message): Promise<Composed> {
          const said = await compose(message);
          if (!said.ok) return { ok: false, outcome: refused(said.reason) };
          const chatId = Number(message.toAddress);
          const freeAt = chats.take(chatId, deps.now());
          if (freeAt !== null) {
            const reason = "The chat was written to a moment ago.";
            return { ok: false, outcome: { kind: "put_off", reason, until: new Date(freeAt) } };
          }
          return { ok: true, send: () => send(message, said.content, bot, deps) };
        },
      };
    },
  };
}

function createCompose(deps: TelegramDeps): (message: ClaimedMessage) => Promise<Said> {
  const compiledNode = createCompiledNodes(deps.db, (settings) => compileTelegram(telegramNode(settings)));

  return async (message) => {
    if (!message.contactExists) return { ok: false, reason: "The contact was deleted." };
    if (message.toAddress === "") return { ok: false, reason: "The contact has no Telegram chat." };
    return message.kind === "campaign" ? campaignContent(message) : replyContent(message);
  };

  async function campaignContent(message: CampaignMessage): Promise<Said> {
    const node = await compiledNode(message);
    if (!node.ok) return { ok: false, reason: `${node.field}: ${node.reason}` };
    const composed = composeTelegram(node.telegram, {
      ids: idsOf(message),
      contact: { email: message.email, attributes: message.attributes, tags: message.tags },
      campaignName: message.campaignName,
      publicUrl: deps.publicUrl,
      tokens: deps.tokens,
      now: deps.now(),
    });
    return composed.ok ? composed : { ok: false, reason: `${composed.field}: ${composed.reason}` };
  }

  async function replyContent(message: ReplyMessage): Promise<Said> {
    const reply = await findReply(deps.db, message.customerId, message.id);
    if (reply === null) return { ok: false, reason: "What it says is not there any more." };
    return { ok: true, content: composeReplyTelegram(reply) };
  }
}

async function send(
  message: ClaimedMessage,
  content: TelegramContent,
  bot: OpenBot,
  deps: TelegramDeps,
): Promise<Outcome> {
  const chatId = Number(message.toAddress);
  const answer = await deps.api.sendMessage(bot.botToken, { chatId, content });
  if (!answer.ok) return fail(message, chatId, answer, deps);
  await untilDone(() => keepSent(deps.db, message, { ...answer.value, content }), deps.log);
  return { kind: "sent", facts: sentFacts(answer.value), at: answer.value.at };
}

/** What a bot sends has arrived: Telegram keeps it in the chat, on all of a person's devices. */
function sentFacts({ chatId, messageId }: SentTelegram) {
  const data = {
    channel: "telegram",
    chatId,
    telegramMessageId: messageId,
    providerMessageId: String(messageId),
    subject: null,
  };
  return [
    { type: "message_sent" as const, data },
    { type: "message_delivered" as const, data: { channel: "telegram" } },
  ];
}

async function fail(
  message: ClaimedMessage,
  chatId: number,
  failed: BotApiFailed,
  { db, log }: TelegramDeps,
): Promise<Outcome> {
  const outcome = failedOutcome(failed, chatId, message.attempts);
  const { retryAfterMs, migratedTo } = failed;
  if (outcome.kind === "resting" && retryAfterMs !== null) {
    await untilDone(() => restBot(db, message, retryAfterMs), log);
    log.warn({ credentialId: message.credentialId, retryAfterMs }, "sender: a bot was told to pause");
  }
  if (outcome.kind === "readdressed" && migratedTo !== null) {
    await untilDone(() => moveChat(db, message, migratedTo), log);
  }
  return outcome;
}
