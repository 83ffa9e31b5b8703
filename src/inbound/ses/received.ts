import { z } from "zod";
import { storableText } from "../../events/storable.ts";
import { plainAddress, readTime } from "./event-details.ts";

/** A mail that SES received for the customer, as the notification tells of it (protocols 2.6). */
export type Received = {
  /** SES's id of the mail, the same in every notification about it. */
  sesMessageId: string;
  /** The envelope's recipients that the rule took the mail for, in lower case; the `To` header may say anything. */
  recipients: string[];
  /** The envelope's sender in lower case; empty when a machine reports. */
  envelopeFrom: string;
  at: Date | null;
  /** SES says that it is one. */
  isSpam: boolean;
  isVirus: boolean;
  /** The domain in `From` says of itself that it did not send this. */
  isForged: boolean;
  content: { in: "notification"; bytes: Buffer } | { in: "s3"; bucket: string; key: string };
};

/** What a notification of type `Received` is. */
export type ReceivedNotification =
  | { kind: "mail"; mail: Received }
  /** The rule did something else with the mail, and the notification has nothing to be read. */
  | { kind: "ignored"; reason: string }
  /** Not what SES documents. */
  | { kind: "odd"; reason: string };

const verdict = z.object({ status: z.string() }).nullish().catch(null);

const notification = z.object({
  mail: z.object({
    messageId: z.string().min(1),
    source: z.string().nullish().catch(null),
    timestamp: z.string().nullish().catch(null),
  }),
  receipt: z.object({
    recipients: z.array(z.string()).catch([]),
    timestamp: z.string().nullish().catch(null),
    spamVerdict: verdict,
    virusVerdict: verdict,
    dmarcVerdict: verdict,
    action: z.object({ type: z.string() }).loose(),
  }),
  content: z.unknown().optional(),
});

const s3Action = z.object({
  // What AWS has ever allowed a bucket to be called, so that the name can't lead anywhere else.
  bucketName: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{2,254}$/),
  objectKey: z.string().min(1).max(1024),
});

/** Reads a notification of type `Received`. */
export function parseReceived(json: { [name: string]: unknown }): ReceivedNotification {
  const parsed = notification.safeParse(json);
  if (!parsed.success) {
    const where = parsed.error.issues[0]?.path.join(".") ?? "";
    return { kind: "odd", reason: `a received mail without a proper ${where}` };
  }
  const { mail, receipt, content } = parsed.data;
  const found = contentOf(receipt.action, content);
  if (found.kind !== "content") return found;
  return {
    kind: "mail",
    mail: {
      sesMessageId: storableText(mail.messageId),
      recipients: receipt.recipients.map((address) => storableText(plainAddress(address))),
      envelopeFrom: plainAddress(mail.source ?? ""),
      at: readTime(receipt.timestamp) ?? readTime(mail.timestamp),
      isSpam: receipt.spamVerdict?.status === "FAIL",
      isVirus: receipt.virusVerdict?.status === "FAIL",
      isForged: receipt.dmarcVerdict?.status === "FAIL",
      content: found.content,
    },
  };
}

type Found =
  | { kind: "content"; content: Received["content"] }
  | Exclude<ReceivedNotification, { kind: "mail" }>;

function contentOf(action: { type: string; [name: string]: unknown }, content: unknown): Found {
  switch (action.type) {
    case "SNS":
      return decode(content, action.encoding);
    case "S3": {
      const place = s3Action.safeParse(action);
      if (!place.success) return { kind: "odd", reason: "a received mail in no proper S3 bucket" };
      const { bucketName: bucket, objectKey: key } = place.data;
      return { kind: "content", content: { in: "s3", bucket, key } };
    }
    default:
      return {
        kind: "ignored",
        reason: `a received mail that went to the action ${action.type.slice(0, 40)}`,
      };
  }
}

function decode(content: unknown, encoding: unknown): Found {
  if (typeof content !== "string" || content === "")
    return { kind: "odd", reason: "a received mail without content" };
  // Without an encoding it is UTF-8.
  if (encoding !== "BASE64")
    return { kind: "content", content: { in: "notification", bytes: Buffer.from(content, "utf8") } };
  const base64 = content.replace(/\s+/g, "");
  // Node's decoder takes anything, and makes an empty mail of what is none.
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || base64.length % 4 !== 0)
    return { kind: "odd", reason: "a received mail whose content is not base64" };
  return { kind: "content", content: { in: "notification", bytes: Buffer.from(base64, "base64") } };
}
