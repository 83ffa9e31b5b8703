import type { Logger } from "pino";

const DATABASE_RETRY_MS = 1_000;

/**
 * Writes what a server has answered: whatever the database does, the answer is not given up while the process lives.
 */
export async function untilDone(write: () => Promise<void>, log: Pick<Logger, "error">): Promise<void> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      log.error({ err: error }, "sender: could not record what became of a message, tries again");
      await new Promise((resolve) => setTimeout(resolve, DATABASE_RETRY_MS));
    }
  }
}
