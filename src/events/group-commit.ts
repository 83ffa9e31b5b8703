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
  /**
   * After once to twice this long a group that is not durable is given up, and its writers are told: also those who
   * joined it late, or after that, so that nobody waits in a line that does not move.
   */
  timeoutMs: number;
  /** Whether a write failed because of what one item contains: then it is halved, so that only that one fails. */
  isRefusal: (error: unknown) => boolean;
};

export class GroupFullError extends Error {}
export class GroupTimeoutError extends Error {}

/** Items that are written together; all their writers wait on the one promise. */
type Group<T> = {
  items: T[];
  written: Promise<void>;
  resolve: () => void;
  reject: (error: unknown) => void;
  /** The items that were refused while the others were taken; empty but for the odd one. */
  refused: Map<T, unknown>;
};

export function createGroupCommit<T>(
  write: (items: readonly T[]) => Promise<void>,
  options: GroupCommitOptions,
): GroupCommit<T> {
  let queue: Group<T>[] = [];
  let waiting = 0;
  let scheduled = false;
  let writes = 0;
  let drained: (() => void)[] = [];
  // One timer for all: at each turn, what was pending at the turn before and still is has waited long enough.
  const pending = new Set<Group<T>>();
  let old: ReadonlySet<Group<T>> = new Set();
  let ticking = false;

  // A promise of one's own for each item would cost more than everything else that is done for it here.
  async function append(item: T): Promise<void> {
    if (waiting >= options.maxWaiting) {
      throw new GroupFullError(`${options.maxWaiting} events are waiting to be written`);
    }
    const group = join(item);
    await group.written;
    if (group.refused.size > 0 && group.refused.has(item)) throw group.refused.get(item);
  }

  function join(item: T): Group<T> {
    const last = queue.at(-1);
    const group = last !== undefined && last.items.length < options.maxGroup ? last : open();
    group.items.push(item);
    waiting += 1;
    schedule();
    return group;
  }

  function open(): Group<T> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const group: Group<T> = { items: [], written: promise, resolve, reject, refused: new Map() };
    queue.push(group);
    pending.add(group);
    tick();
    return group;
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
    const [group, ...rest] = queue;
    if (group === undefined) return;
    queue = rest;
    waiting -= group.items.length;
    writes += 1;
    void writeGroup(group).then(() => {
      writes -= 1;
      if (queue.length > 0) schedule();
      else if (writes === 0) release();
    });
    // What did not fit into this group fills another that may be under way beside it.
    if (queue.length > 0) schedule();
  }

  async function writeGroup(group: Group<T>): Promise<void> {
    try {
      await writeOrHalve(group.items, group);
      group.resolve();
    } catch (error) {
      group.reject(error);
    }
    pending.delete(group);
  }

  async function writeOrHalve(items: readonly T[], group: Group<T>): Promise<void> {
    try {
      await write(items);
    } catch (error) {
      if (!options.isRefusal(error)) throw error;
      if (items.length === 1) {
        for (const item of items) group.refused.set(item, error);
        return;
      }
      const middle = Math.ceil(items.length / 2);
      await writeOrHalve(items.slice(0, middle), group);
      await writeOrHalve(items.slice(middle), group);
    }
  }

  function tick(): void {
    if (ticking) return;
    ticking = true;
    setTimeout(expire, options.timeoutMs);
  }

  function expire(): void {
    ticking = false;
    const error = new GroupTimeoutError(`not written within ${options.timeoutMs} ms`);
    for (const group of pending) if (old.has(group)) group.reject(error);
    old = new Set(pending);
    if (pending.size > 0) tick();
  }

  function release(): void {
    for (const resolve of drained) resolve();
    drained = [];
  }

  function drain(): Promise<void> {
    if (queue.length === 0 && writes === 0) return Promise.resolve();
    return new Promise((resolve) => drained.push(resolve));
  }

  return { append, drain };
}
