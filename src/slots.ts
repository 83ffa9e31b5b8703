/** @returns what `work` comes to; null when too many wait already, and it has not begun */
export type InSlot = <Value>(work: () => Promise<Value>) => Promise<Value | null>;

/** Lets so many run at a time, and so many more wait for their turn, in the order in which they came. */
export function createSlots({ slots, maxWaiting }: { slots: number; maxWaiting: number }): InSlot {
  let free = slots;
  const waiting: (() => void)[] = [];

  return async (work) => {
    if (free > 0) free -= 1;
    else if (waiting.length >= maxWaiting) return null;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
