import type { SmtpCredential } from "../credentials/schema.ts";
import type { FieldProblem } from "../errors.ts";
import { newId } from "../events/id.ts";
import { type ComposeContext, compileEmail, composeEmail } from "./compose.ts";
import { emailNode } from "./email-node.ts";
import { withChannel } from "./one-off.ts";

export type TestMessage = {
  customerId: string;
  campaignId: string;
  campaignName: string;
  nodeId: string;
  /** The node as it is edited. */
  settings: unknown;
  to: string;
  contact: ComposeContext["contact"];
  postalAddress: string | null;
};

/** A problem's field is one of the node's, `credentialId` for the server's state, or `to` for its refusal. */
export type TestSent =
  | { ok: true; subject: string; providerMessageId: string | null; warnings: string[] }
  | ({ ok: false } & FieldProblem);

const SUBJECT_PREFIX = "[Test] ";

/**
 * Sends one message now, past the queue. Its run and message exist nowhere, so the hits of whoever reads it count
 * for nobody, and its unsubscribe link leads to a page that says it was a test.
 */
export async function sendTest(
  message: TestMessage,
  credential: SmtpCredential,
  deps: Pick<ComposeContext, "tokens" | "publicUrl" | "now"> & { answerWithinMs: number },
): Promise<TestSent> {
  const compiled = compileEmail(emailNode(message.settings, credential));
  if (!compiled.ok) return compiled;
  const composed = composeEmail(compiled.email, contextOf(message, credential, deps));
  if (!composed.ok) return composed;
  const subject = SUBJECT_PREFIX + composed.email.subject;
  const outcome = await withChannel(credential, deps.answerWithinMs, (channel) =>
    channel.send({ ...composed.email, to: message.to, subject }),
  );
  if (outcome === null) {
    const reason = `the server did not answer within ${deps.answerWithinMs / 1000} s; the message may still arrive`;
    return { ok: false, field: "credentialId", reason };
  }
  switch (outcome.kind) {
    case "sent":
      return {
        ok: true,
        subject,
        providerMessageId: outcome.providerMessageId,
        warnings: composed.warnings,
      };
    case "unreachable":
      return { ok: false, field: "credentialId", reason: outcome.reason };
    case "refused":
    case "later":
      return { ok: false, field: "to", reason: outcome.reason };
    case "uncertain":
      return { ok: false, field: "to", reason: `${outcome.reason}; the message may have arrived` };
  }
}

function contextOf(
  message: TestMessage,
  credential: SmtpCredential,
  deps: Pick<ComposeContext, "tokens" | "publicUrl" | "now">,
): ComposeContext {
  const { customerId, campaignId, nodeId, campaignName, contact, postalAddress } = message;
  return {
    ids: { customerId, campaignId, nodeId, runId: newId(deps.now), messageId: newId(deps.now) },
    contact,
    campaignName,
    publicUrl: deps.publicUrl,
    postalAddress,
    configurationSet: credential.settings.ses?.configurationSet ?? null,
    // Its message exists nowhere, so nothing could be answered.
    replyAddress: null,
    tokens: deps.tokens,
    now: deps.now,
  };
}
