/**
 * Advisory locks share one number space in a database; each use of ours has its first key here.
 * `append`: held shared by every transaction that takes positions in the event log, so that the projector can
 * tell a position that will still appear from one that never will. `sender`: held by a sending worker for as long
 * as it lives, second key its own number, so that others can tell its claims from a dead worker's.
 * `credential`: held by the one worker that sends for a credential. `installation`: held by the process that
 * owns an embedded database. `contact`: held by a claim that counts what a contact was sent, second key a hash of the
 * contact. `import`: held by the connection that works on an import, second key a hash of the import.
 */
export const LOCKS = {
  append: 0x0ed6_0001,
  sender: 0x0ed6_0002,
  credential: 0x0ed6_0003,
  installation: 0x0ed6_0004,
  contact: 0x0ed6_0005,
  import: 0x0ed6_0006,
} as const;
