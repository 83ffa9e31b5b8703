import { createHash } from "node:crypto";
import type { Mail, What } from "./journal.ts";
import { numberOf } from "./people.ts";

/** One delivery that the stand-in for SNS has to make. */
export type News = {
  /** Of the mail, of what is told, and which copy it is. */
  id: string;
  mail: Mail;
  what: What;
  /** The same for what SNS delivers twice. */
  envelopeId: string;
  signatureVersion: "1" | "2";
  /** What SES published. */
  text: string;
  trick: Trick | null;
  /** Whether it arrives before the mail server has answered. */
  isHasty: boolean;
};

/** How somebody else tries to be believed. */
export type Trick = "changed" | "foreign topic" | "foreign certificate";

/**
 * What Amazon SES says of a mail that it took. Recipients differ by their number: of twenty, one has an address that
 * does not exist, one a full mailbox, one complains and two answer; three are those of whom somebody else claims that they
 * bounced. All others' mail is delivered.
 */
export function reportsOf({ to, node }: Pick<Mail, "to" | "node">): What[] {
  const isWelcome = node === "welcome";
  switch (numberOf(to) % 20) {
    case 3:
    case 5:
    case 7:
      return isWelcome ? ["send", "delivery", "forgery"] : ["send", "delivery"];
    case 12:
    case 13:
      return isWelcome ? ["send", "delivery", "reply"] : ["send", "delivery"];
    case 17:
      return ["send", "hard bounce"];
    case 18:
      return ["send", "soft bounce"];
    case 19:
      return isWelcome ? ["send", "delivery", "complaint"] : ["send", "delivery"];
    default:
      return ["send", "delivery"];
  }
}

/** The deliveries that become of it: some are made twice, some are told in both of SES's dialects. */
export function newsOf(mail: Mail): News[] {
  return reportsOf(mail).flatMap((what) => {
    const [twice = 0, both = 0, version = 0, hasty = 0] = digestOf(`${mail.sesId}/${what}`);
    const told = (copy: number, dialect: Dialect): News => ({
      id: `${mail.sesId}/${what}/${copy}`,
      mail,
      what,
      envelopeId: uuidOf(`${mail.sesId}/${what}/${dialect}`),
      signatureVersion: version % 2 === 0 ? "1" : "2",
      text: what === "reply" ? replyTo(mail) : reportOn(mail, what, dialect),
      trick: what === "forgery" ? trickOn(mail) : null,
      isHasty: hasty % 8 === 0 && copy === 0,
    });
    // Not every event has a word in the older dialect.
    const isInBoth = both % 3 === 0 && !["send", "reply", "forgery"].includes(what);
    return [
      told(0, "eventType"),
      ...(twice % 4 === 0 ? [told(1, "eventType")] : []),
      ...(isInBoth ? [told(2, "notificationType")] : []),
    ];
  });
}

/** SES's names for what an event is: of event publishing, and of feedback notifications. */
type Dialect = "eventType" | "notificationType";

function reportOn(mail: Mail, what: Exclude<What, "reply">, dialect: Dialect): string {
  const { name, detail } = detailOf(mail, what);
  const tags = mail.tags.split(", ").map((tag): [string, string[]] => {
    const [key = "", value = ""] = tag.split("=");
    return [key, [value]];
  });
  const about = {
    timestamp: mail.at,
    messageId: mail.sesId,
    source: "demo@example.com",
    destination: [mail.to],
    headersTruncated: false,
    headers: [{ name: "Message-ID", value: mail.messageIdHeader }],
    ...(dialect === "eventType" ? { tags: Object.fromEntries(tags) } : {}),
  };
  return JSON.stringify({ [dialect]: name, mail: about, ...detail });
}

function detailOf({ to, sesId, at }: Mail, what: Exclude<What, "reply">): { name: string; detail: object } {
  const timestamp = new Date(Date.parse(at) + 1_000).toISOString();
  const feedback = { timestamp, feedbackId: `${sesId}-${what}` };
  const bounce = (bounceType: string, bounceSubType: string, status: string) => {
    const recipient = { emailAddress: to, action: "failed", status, diagnosticCode: `smtp; 550 ${status}` };
    return {
      name: "Bounce",
      detail: { bounce: { bounceType, bounceSubType, bouncedRecipients: [recipient], ...feedback } },
    };
  };
  switch (what) {
    case "send":
      return { name: "Send", detail: { send: {} } };
    case "delivery": {
      const delivery = { timestamp, recipients: [to], processingTimeMillis: 1_000, smtpResponse: "250 OK" };
      return { name: "Delivery", detail: { delivery } };
    }
    case "soft bounce":
      return bounce("Transient", "MailboxFull", "4.2.2");
    case "complaint": {
      const complainedRecipients = [{ emailAddress: to }];
      const complaint = { complainedRecipients, complaintFeedbackType: "abuse", ...feedback };
      return { name: "Complaint", detail: { complaint } };
    }
    case "hard bounce":
    case "forgery":
      return bounce("Permanent", "General", "5.1.1");
  }
}

/**
 * Some answer to the address that the mail asks for, as their programs do; the others' programs have lost it, but name the
 * mail that is answered.
 */
function replyTo({ to, sesId, at, node, messageIdHeader, replyAddress }: Mail): string {
  const isToReplyAddress = numberOf(to) % 2 === 0;
  const recipient = isToReplyAddress ? replyAddress : "demo@example.com";
  const content = [
    `From: ${to}`,
    `To: ${recipient}`,
    `Subject: Re: ${node}`,
    `Message-ID: <answer-${sesId}@example.com>`,
    ...(isToReplyAddress ? [] : [`In-Reply-To: ${messageIdHeader}`]),
    "Content-Type: text/plain; charset=utf-8",
    "",
    "Thank you!",
    "",
    "> Good that you are here",
    "",
  ].join("\r\n");
  const verdict = { status: "PASS" };
  return JSON.stringify({
    notificationType: "Received",
    mail: { timestamp: at, messageId: `answer-${sesId}`, source: to, destination: [recipient] },
    receipt: {
      timestamp: at,
      recipients: [recipient],
      spamVerdict: verdict,
      virusVerdict: verdict,
      dmarcVerdict: verdict,
      action: { type: "SNS", encoding: "BASE64" },
    },
    content: Buffer.from(content).toString("base64"),
  });
}

function trickOn({ to }: Mail): Trick {
  switch (numberOf(to) % 20) {
    case 3:
      return "changed";
    case 5:
      return "foreign topic";
    default:
      return "foreign certificate";
  }
}

function uuidOf(text: string): string {
  const hex = digestOf(text).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    "-",
  );
}

/** Chance that is the same after a restart. */
function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
