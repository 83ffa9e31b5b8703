import { migrate as migrateDatabase } from "../storage/migrate.ts";
import { type Command, parseOptions } from "./command.ts";
import { withDatabase } from "./with-database.ts";

export const migrate: Command = {
  summary: "bring the database to this version's schema",
  help: `Usage: edgr migrate

Brings the database to this version's schema. "edgr serve" does it by itself at every start; run it alone
before several processes start on one database, or to see whether it works.

Examples:
  npx edgr migrate
  DATABASE_URL=postgres://edgr@db.example.com/edgr npx edgr migrate`,

  async run(args, terminal) {
    parseOptions(args, {}, 0);
    const applied = await withDatabase(terminal.config(), migrateDatabase);
    terminal.print(
      applied.length === 0
        ? "The database is up to date."
        : applied.map((name) => `applied ${name}`).join("\n"),
    );
    return 0;
  },
};
