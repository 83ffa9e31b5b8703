/**
 * Divides items into groups in each of which no key is there twice, so that a statement may write all of a group;
 * items that share a key keep their order from group to group.
 */
export function inWaves<Item>(
  items: readonly Item[],
  keysOf: (item: Item) => readonly (string | number)[],
): Item[][] {
  const waves: Item[][] = [];
  const lastWave = new Map<string | number, number>();
  for (const item of items) {
    const keys = keysOf(item);
    const wave = Math.max(...keys.map((key) => (lastWave.get(key) ?? -1) + 1));
    for (const key of keys) lastWave.set(key, wave);
    const group = waves[wave];
    if (group === undefined) waves.push([item]);
    else group.push(item);
  }
  return waves;
}
