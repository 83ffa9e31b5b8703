import { composeReplyEmail } from "../conversations/compose-reply.ts";
import { findReply } from "../conversations/reply-queries.ts";
import type { SmtpCredential } from "../credentials/schema.ts";
import { createReplyAddresses } from "../inbound/ses/reply-address.ts";
import type { Db } from "../storage/pool.ts";
import type { Tokens } from "../tracking/token.ts";
import { type Composed, idsOf, type Outcome, type Outlet, refused } from "./channel.ts";
import type { CampaignMessage, ClaimedMessage, ReplyMessage } from "./claim-queries.ts";
import { createCompiledNodes } from "./compiled-nodes.ts";
import { type ComposedEmail, compileEmail, composeEmail } from "./compose.ts";
import { emailNode } from "./email-node.ts";
import { openSmtpChannel } from "./smtp.ts";
import type { SendOutcome } from "./smtp-outcome.ts";

export type EmailDeps = {
  db: Db;
  tokens: Tokens;
  publicUrl: string;
  /** Signs the addresses that answers go to. */
  encryptionKey: Buffer;
  now: () => number;
};

type Email = { ok: true; email: ComposedEmail } | { ok: false; reason: string };

/** A mail server, with no more in hand than there are connections to it. */
export function emailOutlet(credential: SmtpCredential, deps: EmailDeps): Outlet {
  const { customerId, id, settings } = credential;
  return {
    customerId,
    credentialId: id,
    perSecond: settings.rateLimitPerSecond,
    maxInHand: settings.maxConnections,
    schedule: settings,
    open() {
      const smtp = openSmtpChannel(credential);
      const compose = createCompose(credential, deps);
      return {
        close: smtp.close,
        async compose(message): Promise<Composed> {
          const composed = await compose(message);
          if (!composed.ok) return { ok: false, outcome: refused(composed.reason) };
          const { email } = composed;
          return { ok: true, send: async () => outcomeOf(await smtp.send(email), email, deps.now()) };
        },
      };
    },
  };
}

function createCompose(credential: SmtpCredential, deps: EmailDeps) {
  const compiledNode = createCompiledNodes(deps.db, (settings) =>
    compileEmail(emailNode(settings, credential)),
  );
  const { configurationSet = null, replyDomain = null } = credential.settings.ses ?? {};
  const replyAddresses = createReplyAddresses(deps.encryptionKey);
  const replyAddressOf = ({ customerId, id }: ClaimedMessage) =>
    replyDomain === null ? null : replyAddresses.addressOf({ customerId, messageId: id }, replyDomain);

  return async (message: ClaimedMessage): Promise<Email> => {
    if (!message.contactExists) return { ok: false, reason: "The contact was deleted." };
    if (message.toAddress === "") return { ok: false, reason: "The contact has no email address." };
    return message.kind === "campaign" ? campaignEmail(message) : replyEmail(message);
  };

  async function campaignEmail(message: CampaignMessage): Promise<Email> {
    const node = await compiledNode(message);
    if (!node.ok) return { ok: false, reason: `${node.field}: ${node.reason}` };
    const composed = composeEmail(node.email, {
      ids: idsOf(message),
      contact: { email: message.toAddress, attributes: message.attributes, tags: message.tags },
      campaignName: message.campaignName,
      publicUrl: deps.publicUrl,
      postalAddress: message.postalAddress,
      configurationSet,
      replyAddress: replyAddressOf(message),
      tokens: deps.tokens,
      now: deps.now(),
    });
    return composed.ok ? composed : { ok: false, reason: `${composed.field}: ${composed.reason}` };
  }

  async function replyEmail(message: ReplyMessage): Promise<Email> {
    const { customerId, id: messageId, toAddress: to } = message;
    const reply = await findReply(deps.db, customerId, messageId);
    if (reply === null) return { ok: false, reason: "What it says is not there any more." };
    const replyAddress = replyAddressOf(message);
    return composeReplyEmail(reply, {
      to,
      credential,
      customerId,
      messageId,
      replyAddress,
      configurationSet,
    });
  }
}

function outcomeOf(sent: SendOutcome, { subject }: ComposedEmail, now: number): Outcome {
  switch (sent.kind) {
    case "sent": {
      const data = { subject, providerMessageId: sent.providerMessageId };
      return { kind: "sent", facts: [{ type: "message_sent", data }], at: new Date(now) };
    }
    case "refused":
      return refused(sent.reason);
    case "uncertain":
      return { ...sent, isOutage: false };
    case "later":
    case "unreachable":
      return sent;
  }
}
