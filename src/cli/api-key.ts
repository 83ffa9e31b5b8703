import { createApiKey, listApiKeys, revokeApiKey } from "../customers/api-keys.ts";
import { migrate } from "../storage/migrate.ts";
import type { Db } from "../storage/pool.ts";
import { alignColumns } from "./columns.ts";
import { type Command, parseOptions, type Terminal, UsageError } from "./command.ts";
import { withDatabase } from "./with-database.ts";

export const apiKey: Command = {
  summary: "create, list or revoke API keys",
  help: `Usage: edgr api-key create [--customer <name>] [--name <name>]
       edgr api-key list
       edgr api-key revoke <id or prefix>

"create" prints the key this once: EDGR keeps only its hash. A customer that does not exist yet is created;
without --customer it is "default". --name says what the key is for. Works while EDGR is running.

Examples:
  npx edgr api-key create --name laptop
  npx edgr api-key create --customer acme --name "order system"
  npx edgr api-key revoke edgr_Ab12Cd3`,

  async run(args, terminal) {
    const [action, ...rest] = args;
    if (action === "create") return createKey(rest, terminal);
    if (action === "list") return listKeys(rest, terminal);
    if (action === "revoke") return revokeKey(rest, terminal);
    throw new UsageError(
      action === undefined ? "Say create, list or revoke." : `There is no "api-key ${action}".`,
    );
  },
};

async function createKey(args: readonly string[], terminal: Terminal): Promise<number> {
  const { values } = parseOptions(
    args,
    {
      customer: { type: "string", default: "default" },
      name: { type: "string", default: "command line" },
    },
    0,
  );
  const { customer, name } = values;
  if (customer.trim() === "" || name.trim() === "") throw new UsageError("A name must not be empty.");
  const { id, key, customerCreated } = await onKeys(terminal, (db) =>
    createApiKey(db, { customerName: customer, name }),
  );
  // The key alone on standard output's first line, so that a script can take it with `head -n 1`.
  terminal.print(key);
  terminal.print(
    `\nKey ${id} "${name}" of customer "${customer}"${customerCreated ? ", which is new" : ""}. It is not shown again.`,
  );
  terminal.print(`Use it as a header: Authorization: Bearer ${key.slice(0, 9)}…`);
  return 0;
}

async function listKeys(args: readonly string[], terminal: Terminal): Promise<number> {
  parseOptions(args, {}, 0);
  const keys = await onKeys(terminal, listApiKeys);
  if (keys.length === 0) {
    terminal.print("There is no API key yet. Create one: npx edgr api-key create");
    return 0;
  }
  const head = ["PREFIX", "CUSTOMER", "NAME", "CREATED", "LAST USED", "REVOKED", "ID"];
  const rows = keys.map((key) => [
    `${key.prefix}…`,
    key.customerName,
    key.name,
    shortTime(key.createdAt),
    shortTime(key.lastUsedAt),
    shortTime(key.revokedAt),
    key.id,
  ]);
  terminal.print(alignColumns([head, ...rows]));
  return 0;
}

async function revokeKey(args: readonly string[], terminal: Terminal): Promise<number> {
  const { positionals } = parseOptions(args, {}, 1);
  const [idOrPrefix] = positionals;
  if (idOrPrefix === undefined || idOrPrefix === "") throw new UsageError("Say which key: its id or prefix.");
  const key = await onKeys(terminal, (db) => revokeApiKey(db, idOrPrefix));
  terminal.print(`Revoked key ${key.prefix}… "${key.name}" of customer "${key.customerName}".`);
  return 0;
}

/** A key may be wanted before EDGR has ever served. */
function onKeys<T>(terminal: Terminal, work: (db: Db) => Promise<T>): Promise<T> {
  return withDatabase(terminal.config(), async (db) => {
    await migrate(db);
    return work(db);
  });
}

function shortTime(time: Date | null): string {
  return time === null ? "-" : `${time.toISOString().slice(0, 16).replace("T", " ")}Z`;
}
