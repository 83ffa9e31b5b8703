import { createSignal } from "./signal.ts";

export type Repeating = {
  /** Says that there may be work: the next turn comes at once. */
  wake(): void;
  stop(): Promise<void>;
};

/**
 * Does `work` now and then again, `everyMs` after it ended, or at once when it says that there is more. One failure
 * goes to `onError` and does not keep the next turn from coming.
 */
export function repeat(
  everyMs: number,
  work: () => Promise<"more" | "done">,
  onError: (error: unknown) => void,
): Repeating {
  const signal = createSignal();
  let stopping = false;

  async function turn(): Promise<"more" | "done"> {
    try {
      return await work();
    } catch (error) {
      onError(error);
      return "done";
    }
  }

  async function loop(): Promise<void> {
    while (!stopping) {
      if ((await turn()) === "done") await signal.sleep(everyMs);
    }
  }

  const running = loop();
  return {
    wake: signal.wake,
    async stop() {
      stopping = true;
      signal.wake();
      await running;
    },
  };
}
