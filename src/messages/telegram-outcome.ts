import type { BotApiFailed } from "../telegram/failure.ts";
import { storableReason } from "./answer-reason.ts";
import { type Outcome, refused } from "./channel.ts";

/** A group moves once; one that is said to move again and again is not followed for ever. */
const MAX_MOVES = 3;

/**
 * What follows from a message that a bot could not send (protocols 3.7). The chat of somebody who blocked the bot is
 * suppressed by the event that says so; what is wrong with the text suppresses nobody.
 * @param attempts how many were made
 */
export function failedOutcome(failed: BotApiFailed, chatId: number, attempts: number): Outcome {
  const reason = storableReason(failed.description);
  switch (failed.failure) {
    case "blocked":
      return refused(reason, { type: "contact_blocked", data: { channel: "telegram", chatId } });
    case "chat_not_found":
    case "content":
    case "refused":
      return refused(reason);
    case "migrated":
      return attempts > MAX_MOVES ? refused(reason) : { kind: "readdressed", reason };
    case "rate_limited":
      return { kind: "resting", reason };
    case "token":
      return { kind: "unreachable", reason: `Telegram refuses the bot's token: ${reason}` };
    case "conflict":
      return { kind: "later", reason };
    case "unavailable":
      return failed.wasAnswered ? { kind: "later", reason } : { kind: "unreachable", reason };
    case "uncertain":
      return { kind: "uncertain", reason, isOutage: true };
  }
}
