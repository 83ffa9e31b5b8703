import { storableReason } from "./answer-reason.ts";

/**
 * What became of handing one message to a mail server.
 * `sent`: accepted. `refused`: the server said no for good. `later`: the server asked to try this message again.
 * `unreachable`: the message was not handed over, and nothing can be through this credential for now (no
 * connection, wrong password, throttled); the message itself is not to blame. `uncertain`: the content was on its
 * way when the answer got lost, so it may have been accepted; it is never sent again by itself.
 */
export type SendOutcome =
  | { kind: "sent"; providerMessageId: string | null; response: string }
  | { kind: "refused"; reason: string }
  | { kind: "later"; reason: string }
  | { kind: "unreachable"; reason: string }
  | { kind: "uncertain"; reason: string };

/** The parts of nodemailer's errors that tell the outcomes apart. */
export type SmtpFailure = {
  code: string | null;
  responseCode: number | null;
  response: string | null;
  message: string;
  /** Whether any of the message's content was taken by the connection, which happens only after DATA's 354. */
  contentTaken: boolean;
};

// nodemailer's codes for an answer to MAIL, RCPT or DATA, and for one to the content. Every other error is the
// connection's: a greeting of 554 says nothing about the message that happened to be the first.
const MESSAGE_ERRORS = ["EENVELOPE", "EMESSAGE"];

// Replies that speak of the account and not of this message: every other message would get the same one.
// The texts are Amazon SES's, and what relays say to a client they don't know; the codes alone would blame the
// recipient.
const ACCOUNT_REPLIES = [
  /^421/,
  /^53[058]/,
  /^5\d\d.*not verified/i,
  /^5\d\d.*access denied/i,
  /^5\d\d.*not subscribed/i,
  /^5\d\d.*(relay not permitted|relaying denied|unable to relay)/i,
  /^4\d\d.*throttling failure/i,
  /^4\d\d.*too many concurrent/i,
];

/** Classifies a failed hand-over; replies of servers are those of RFC 5321 and Amazon SES's SMTP interface. */
export function classifyFailure(failure: SmtpFailure): SendOutcome {
  const reason = storableReason(failure.response ?? failure.message);
  const reply = failure.responseCode;
  const isNo = reply !== null && reply >= 400;
  if (failure.contentTaken && !isNo) return { kind: "uncertain", reason };
  if (!MESSAGE_ERRORS.includes(failure.code ?? "") || ACCOUNT_REPLIES.some((no) => no.test(reason))) {
    return { kind: "unreachable", reason };
  }
  // Without a reply, it was nodemailer that refused the envelope before it spoke to the server.
  return { kind: reply !== null && reply < 500 ? "later" : "refused", reason };
}

/** The id a server gives in its reply to DATA; Amazon SES answers `250 Ok <id>`, others put it somewhere. */
export function providerMessageId(response: string): string | null {
  return /^250 (?:\d\.\d\.\d )?Ok:? (?:queued as )?([\w.@-]{6,200})$/i.exec(response.trim())?.[1] ?? null;
}
