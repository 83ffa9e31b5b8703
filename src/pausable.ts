/** Something that works until it is stopped, and can be told that there is something to do. */
export type Running = { wake(): void; stop(): Promise<void> };

export type Pausable = Running & {
  /** Begins, or stops: one after the other, however fast it changes. */
  allow(isAllowed: boolean): void;
};

/** Runs what `start` begins for as long as that is allowed, from the next time anew; at first it is not. */
export function createPausable(start: () => Running, onError: (error: unknown) => void): Pausable {
  let isAllowed = false;
  let running: Running | null = null;
  let changing = Promise.resolve();

  async function change(): Promise<void> {
    if (isAllowed && running === null) {
      running = start();
    } else if (!isAllowed && running !== null) {
      await running.stop();
      running = null;
    }
  }

  function allow(next: boolean): void {
    isAllowed = next;
    changing = changing.then(change).catch(onError);
  }

  return {
    allow,
    wake: () => running?.wake(),
    async stop() {
      allow(false);
      await changing;
    },
  };
}
