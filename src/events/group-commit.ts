/**
 * Joins many concurrent writers into few writes: while one group is being written the next gathers, and each
 * writer's promise settles with its group's write.
 */
export type GroupCommit<T> = {
  /**
   * Resolves when the item is durable; rejects when it is not, at once with `GroupFullError`, or with
   * `GroupTimeoutError` when nobody knows in time: the item may still become durable.
   */
  append(item: T): Promise<void>;
  /** Resolves when no write is waiting or under way any more. */
  drain(): Promise<void>;
};

export type GroupCommitOptions = {
  /** Items in one write at most. */
  maxGroup: number;
  /** Items waiting for a write at most; one more is refused at once, so that memory stays bounded in an outage. */
  maxWaiting: number;
  /** Writes under way at once at most. */
  maxWrites: number;
  /** How long an item waits to become durable, between once and twice that, before its writer is told. */
  timeoutMs: number;
  /** Whether a write failed because of what one item contains: then it is halved, so that only that one fails. */
  isRefusal: (error: unknown) => boolean;
};

export class GroupFullError extends Error {}
export class GroupTimeoutError extends Error {}

type Waiting<T> = { item: T; resolve: () => void; reject: (error: unknown) => void };

export function createGroupCommit<T>(
  write: (items: readonly T[]) => Promise<void>,
  options: GroupCommitOptions,
): GroupCommit<T> {
  let waiting: Waiting<T>[] = [];
  let scheduled = false;
  let writes = 0;
  let drained: (() => void)[] = [];
  // One timer for all: at each turn, what was pending at the turn before and still is has waited long enough.
  const pending = new Set<Waiting<T>>();
  let old: ReadonlySet<Waiting<T>> = new Set();
  let ticking = false;

  function append(item: T): Promise<void> {
    if (waiting.length >= options.maxWaiting) {
      return Promise.reject(new GroupFullError(`${options.maxWaiting} events are waiting to be written`));
    }
    return new Promise((resolve, reject) => {
      const entry: Waiting<T> = { item, resolve, reject };
      pending.add(entry);
      waiting.push(entry);
      tick();
      schedule();
    });
  }

  function tick(): void {
    if (ticking) return;
    ticking = true;
    setTimeout(expire, options.timeoutMs);
  }

  function expire(): void {
    ticking = false;
    const late = [...pending].filter((entry) => old.has(entry));
    const error = new GroupTimeoutError(`not written within ${options.timeoutMs} ms`);
    for (const entry of late) settle(entry, () => entry.reject(error));
    old = new Set(pending);
    if (pending.size > 0) tick();
  }

  function settle(entry: Waiting<T>, how: () => void): void {
    if (pending.delete(entry)) how();
  }

  // Requests that the event loop has already read join one group: the write starts after them, not before.
  function schedule(): void {
    if (scheduled || writes >= options.maxWrites) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      start();
    });
  }

  function start(): void {
    if (waiting.length === 0) return;
    const group = waiting.slice(0, options.maxGroup);
    waiting = waiting.slice(options.maxGroup);
    writes += 1;
    writeOrHalve(group).finally(() => {
      writes -= 1;
      if (waiting.length > 0) schedule();
      else if (writes === 0) release();
    });
    // What did not fit into this group fills another that may be under way beside it.
    if (waiting.length > 0) schedule();
  }

  async function writeOrHalve(group: readonly Waiting<T>[]): Promise<void> {
    try {
      await write(group.map((entry) => entry.item));
      for (const entry of group) settle(entry, entry.resolve);
    } catch (error) {
      if (options.isRefusal(error) && group.length > 1) {
        const middle = Math.ceil(group.length / 2);
        await writeOrHalve(group.slice(0, middle));
        await writeOrHalve(group.slice(middle));
      } else {
        for (const entry of group) settle(entry, () => entry.reject(error));
      }
    }
  }

  function release(): void {
    for (const resolve of drained) resolve();
    drained = [];
  }

  function drain(): Promise<void> {
    if (waiting.length === 0 && writes === 0) return Promise.resolve();
    return new Promise((resolve) => drained.push(resolve));
  }

  return { append, drain };
}
