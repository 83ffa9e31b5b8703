/** How many attempts a process has in hand, by endpoint. */
export type InHand = {
  begin(endpointId: string): void;
  /** The request is over. */
  answer(endpointId: string): void;
  /** Its end is in the database. */
  end(endpointId: string): void;
  /** Requests under way. */
  running(endpointId: string): number;
  /** The same with those whose end is not in the database yet. */
  unended(endpointId: string): number;
  total(): number;
};

export function createInHand(): InHand {
  const running = new Map<string, number>();
  const unended = new Map<string, number>();
  let total = 0;
  return {
    begin(endpointId) {
      add(running, endpointId, 1);
      add(unended, endpointId, 1);
      total += 1;
    },
    answer: (endpointId) => add(running, endpointId, -1),
    end(endpointId) {
      add(unended, endpointId, -1);
      total -= 1;
    },
    running: (endpointId) => running.get(endpointId) ?? 0,
    unended: (endpointId) => unended.get(endpointId) ?? 0,
    total: () => total,
  };
}

function add(counts: Map<string, number>, endpointId: string, change: number): void {
  const count = (counts.get(endpointId) ?? 0) + change;
  if (count === 0) counts.delete(endpointId);
  else counts.set(endpointId, count);
}
