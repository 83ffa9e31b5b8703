import type { Answered } from "../egress/result.ts";
import {
  DELIVERED,
  disabling,
  neverTriedAgain,
  triedAgain,
  triedAgainLater,
  type Verdict,
} from "./verdict.ts";

const NEW_ONE = "Make a new webhook in Slack, give its URL to the endpoint and enable it.";
const ASK_ADMIN = "Whoever administers the workspace can allow it.";

/** Slack's words for a webhook that is of no use any more, and what can be done. */
const ENDINGS: { readonly [word: string]: string } = {
  no_service: NEW_ONE,
  no_team: NEW_ONE,
  invalid_token: NEW_ONE,
  channel_not_found: NEW_ONE,
  channel_is_archived: "Take the channel out of the archive, or make a webhook for another one.",
  team_disabled: "The workspace has been closed.",
  action_prohibited: ASK_ADMIN,
  posting_to_general_channel_denied: ASK_ADMIN,
};

/** Its words for a message that it will never take. */
const BAD_MESSAGES = new Set([
  "invalid_payload",
  "no_text",
  "invalid_blocks",
  "msg_blocks_too_long",
  "msg_too_long",
  "too_many_attachments",
]);

/** What follows from the answer of a Slack incoming webhook (protocols 6.2): its words first, which say more. */
export function judgeSlack({ status, body }: Answered, retryAfterS: number | null): Verdict {
  const text = body.toString("utf8").trim();
  if (status === 200 && text === "ok") return DELIVERED;
  const word = /^[a-z_]{1,60}$/.test(text) ? text : null;
  const said = `Slack answered ${status}${word === null ? "" : ` (${word})`}.`;
  if (status < 400) {
    return triedAgain(
      status === 200 ? "not_ok" : `http_${status}`,
      `${said} Only 200 and "ok" mean that the message was taken.`,
    );
  }
  if (status >= 500 || status === 429) return triedAgainLater(status, said, retryAfterS);
  const ending = word !== null && Object.hasOwn(ENDINGS, word) ? ENDINGS[word] : undefined;
  if (ending !== undefined) return disabling(status, `${said} ${ending}`);
  if (status === 404 || status === 410) return disabling(status, `${said} ${NEW_ONE}`);
  if (status === 400 || status === 413 || BAD_MESSAGES.has(word ?? "")) {
    return neverTriedAgain(
      status,
      `${said} The message is at fault, which is EDGR's own mistake: please report it.`,
    );
  }
  return triedAgainLater(status, said, retryAfterS);
}
