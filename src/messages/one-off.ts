import type { SmtpCredential } from "../credentials/schema.ts";
import { openSmtpChannel, type SmtpChannel } from "./smtp.ts";

/**
 * Opens a channel for one thing that a person waits for, and closes it again.
 * @returns null when the server did not come to an answer in time
 */
export async function withChannel<Result>(
  credential: SmtpCredential,
  withinMs: number,
  use: (channel: SmtpChannel) => Promise<Result>,
): Promise<Result | null> {
  const channel = openSmtpChannel(credential);
  const deadline = Promise.withResolvers<null>();
  const timer = setTimeout(deadline.resolve, withinMs, null);
  try {
    return await Promise.race([use(channel), deadline.promise]);
  } finally {
    clearTimeout(timer);
    channel.close();
  }
}
