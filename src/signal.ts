/** A worker's alarm clock: it sleeps until it is woken, or its time is over. */
export type Signal = {
  /** Wakes the sleeper; when nobody sleeps, the next sleep ends at once. */
  wake(): void;
  sleep(ms: number): Promise<void>;
};

export function createSignal(): Signal {
  let woken = false;
  let end: (() => void) | null = null;

  return {
    wake() {
      woken = true;
      end?.();
    },
    async sleep(ms) {
      if (!woken) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          end = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        end = null;
      }
      woken = false;
    },
  };
}
