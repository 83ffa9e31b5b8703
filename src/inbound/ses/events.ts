import { z } from "zod";
import { parseJson } from "../json.ts";
import {
  DETAIL_KEYS,
  isName,
  type Name,
  optionalText,
  plainAddress,
  TELLERS,
  type Told,
} from "./event-details.ts";

/**
 * One thing that happened to a mail, for one recipient. The names are SES's; both of its dialects (event publishing
 * and feedback notifications, protocols 2.1) become the same fact.
 */
export type SesFact = Told & {
  /**
   * The same however often and in whichever dialect the fact is told, and another for another fact: to be made
   * unique by the customer.
   */
  key: string;
};

/** The mail it happened to, by everything that can tell which of ours it is. */
export type SesMail = {
  /** The id that SES gave it when it took it. */
  sesMessageId: string | null;
  /** Our own Message-ID, where the headers came along. */
  messageIdHeader: string | null;
  /** From `X-SES-MESSAGE-TAGS`; other people's headers may say anything. */
  tags: { [name: string]: string };
  destination: string[];
};

/** What the text of a notification is. */
export type SesMessage =
  | { kind: "facts"; name: string; mail: SesMail; facts: SesFact[] }
  | { kind: "received"; json: { [name: string]: unknown } }
  /** SES's own word about the subscription, or something that is not SES's: nothing to do. */
  | { kind: "other"; what: string }
  /** It says that it is SES's, and is not what SES documents: kept for a person to see. */
  | { kind: "odd"; reason: string };

const MAX_NAME_CHARS = 100;

const mail = z.object({
  messageId: z.string().nullish().catch(null),
  timestamp: optionalText,
  destination: z.array(z.string()).catch([]),
  headers: z.array(z.object({ name: z.string(), value: z.string() })).catch([]),
  tags: z.record(z.string(), z.array(z.string())).catch({}),
});

/** Reads the text that SES published to a topic. */
export function parseSesMessage(message: string): SesMessage {
  const json = z.record(z.string(), z.unknown()).safeParse(parseJson(message)).data;
  if (json === undefined) return { kind: "other", what: "a text" };
  const name = json.eventType ?? json.notificationType;
  if (name === undefined) return { kind: "other", what: "not SES's" };
  if (name === "AmazonSnsSubscriptionSucceeded") return { kind: "other", what: name };
  if (name === "Received") return { kind: "received", json };
  if (!isName(name))
    return {
      kind: "odd",
      reason: `an event of a kind that is not known: ${JSON.stringify(name).slice(0, MAX_NAME_CHARS)}`,
    };
  return parseFacts(name, json);
}

function parseFacts(name: Name, json: { [key: string]: unknown }): SesMessage {
  const about = mail.safeParse(json.mail);
  if (!about.success) return { kind: "odd", reason: `a ${name} event without its mail` };
  const told = TELLERS[name](json[DETAIL_KEYS[name]]);
  if (told === null) return { kind: "odd", reason: `a ${name} event without what it is about` };
  const { messageId = null, headers, tags, destination } = about.data;
  const facts = told.map((fact) => ({ ...fact, key: keyOf(name, messageId, fact) }));
  return {
    kind: "facts",
    name,
    mail: {
      sesMessageId: messageId?.trim() || null,
      messageIdHeader: headers.find((header) => /^message-id$/i.test(header.name))?.value.trim() ?? null,
      tags: Object.fromEntries(
        Object.entries(tags).flatMap(([tag, [value]]) => (value ? [[tag, value]] : [])),
      ),
      destination: destination.map(plainAddress),
    },
    // What names nobody is of the mail's one recipient, if it has one.
    facts: facts.map((fact) => ({ ...fact, recipient: fact.recipient ?? onlyOne(destination) })),
  };
}

/**
 * SES names its feedback, and the same feedback in both dialects by the same name. What it does not name is told
 * apart by its time, which openings and clicks that are truly several have each of their own.
 */
function keyOf(name: Name, sesMessageId: string | null | undefined, fact: Told): string {
  const { feedbackId } = fact.data;
  const which = typeof feedbackId === "string" ? feedbackId : (fact.at?.toISOString() ?? "");
  const link = fact.data.clickedUrl ?? "";
  return JSON.stringify(["ses", name, sesMessageId ?? "", fact.recipient ?? "", which, link]);
}

function onlyOne(destination: readonly string[]): string | null {
  const [first] = destination;
  return destination.length === 1 && first !== undefined ? plainAddress(first) : null;
}
