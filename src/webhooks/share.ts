/** An endpoint that wants to be called: what it has in hand, and how much more it may. */
export type Asking = { inHand: number; room: number };

/**
 * Shares out what is free among endpoints, in their order: the same for each, and nobody gets so much that more than a
 * quarter of what is free and its own were its own. Those who are slow or dead keep what they have for long: what they
 * leave is for whoever comes next.
 * @param most of what is free is given away
 * @returns how much each gets
 */
export function shareOut(free: number, most: number, asking: readonly Asking[]): number[] {
  const even = Math.max(1, Math.floor(Math.min(free, most) / Math.max(1, asking.length)));
  let given = 0;
  return asking.map(({ inHand, room }) => {
    const quarter = Math.ceil((free - given + inHand) / 4) - inHand;
    const share = Math.max(0, Math.min(room, even, quarter, free - given, most - given));
    given += share;
    return share;
  });
}
