import { spawn } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { AppError } from "../errors.ts";

/** A user PostgreSQL can run as. */
export type Account = { uid: number; gid: number; name: string };

/** How a program is started so that it runs as the chosen account. */
export type Launch = { file: string; args: readonly string[]; ids: { uid?: number; gid?: number } };

export type Runner = {
  /** Null when EDGR is not root: everything runs as, and belongs to, its own user. */
  account: Account | null;
  launch(program: string, args: readonly string[]): Launch;
};

type Reach = { dataDir: string; initdb: string };

// Either capability opens closed folders on the way to a file; which of the two root has depends on the container.
const PATH_CAPABILITIES = ["dac_read_search", "dac_override"];

/**
 * PostgreSQL refuses to run as root, so root starts it as somebody else: the owner of an existing cluster, else
 * `postgres`, else `nobody`. When a folder above the data or above the program is closed to that user, it gets
 * one capability that looks through closed folders.
 * @param reach the data directory to enter and the `initdb` to execute
 * @throws AppError with what to do, when no way leads there
 */
export async function chooseRunner(clusterDir: string, reach: Reach): Promise<Runner> {
  const uid = process.getuid?.();
  if (uid !== 0) {
    await refuseForeignCluster(clusterDir, uid);
    return { account: null, launch: (file, args) => ({ file, args, ids: {} }) };
  }
  const account = await chooseAccount(clusterDir);
  for (const runner of [
    plainly(account),
    ...PATH_CAPABILITIES.map((name) => withCapability(account, name)),
  ]) {
    if (await canReach(runner, reach)) return runner;
  }
  throw new AppError(
    "unavailable",
    `PostgreSQL does not run as root, and the user "${account.name}" can reach ${reach.dataDir} or ${reach.initdb} ` +
      "neither plainly nor through setpriv (util-linux). Make both folders enterable for it, set EDGR_DATA_DIR to such a folder, " +
      "run EDGR as an ordinary user, or set DATABASE_URL to a PostgreSQL server.",
  );
}

async function refuseForeignCluster(clusterDir: string, uid: number | undefined): Promise<void> {
  const owner = await ownerOf(clusterDir);
  if (owner === null || owner.uid === uid) return;
  throw new AppError(
    "unavailable",
    `The database in ${clusterDir} belongs to user ${owner.uid}, not to you (${uid}). ` +
      "Run EDGR as that user or as root, or set EDGR_DATA_DIR to another folder.",
  );
}

async function chooseAccount(clusterDir: string): Promise<Account> {
  const accounts = await readAccounts();
  const owner = await ownerOf(clusterDir);
  const found =
    owner !== null && owner.uid !== 0
      ? accounts.find((account) => account.uid === owner.uid)
      : (accounts.find((account) => account.name === "postgres") ??
        accounts.find((account) => account.name === "nobody"));
  if (found === undefined)
    throw new AppError(
      "unavailable",
      `PostgreSQL does not run as root, and /etc/passwd has no ${owner === null ? 'user "postgres" or "nobody"' : `user ${owner.uid}`}. ` +
        "Run EDGR as an ordinary user, or set DATABASE_URL to a PostgreSQL server.",
    );
  return found;
}

async function readAccounts(): Promise<Account[]> {
  const lines = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  return lines
    .map(([name = "", , uid = "", gid = ""]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter((account) => account.uid > 0);
}

async function ownerOf(folder: string): Promise<{ uid: number } | null> {
  return stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
}

function plainly(account: Account): Runner {
  const ids = { uid: account.uid, gid: account.gid };
  return { account, launch: (file, args) => ({ file, args, ids }) };
}

function withCapability(account: Account, capability: string): Runner {
  const options = [
    `--reuid=${account.uid}`,
    `--regid=${account.gid}`,
    "--clear-groups",
    `--inh-caps=+${capability}`,
    `--ambient-caps=+${capability}`,
    // Without it access(2), by which PostgreSQL looks for its own program, takes no notice of capabilities.
    "--securebits=+no_setuid_fixup",
    "--",
  ];
  return {
    account,
    launch: (program, args) => ({ file: "setpriv", args: [...options, program, ...args], ids: {} }),
  };
}

function canReach(runner: Runner, reach: Reach): Promise<boolean> {
  // `--show` finds the other programs and the account, which is all a real run needs, and writes nothing.
  const script = 'cd "$1" && exec "$2" --show -D "$1/postgres"';
  const { file, args, ids } = runner.launch("/bin/sh", ["-c", script, "sh", reach.dataDir, reach.initdb]);
  return new Promise((resolve) => {
    const child = spawn(file, args, { ...ids, cwd: "/", stdio: "ignore" });
    child.on("error", () => resolve(false));
    child.on("exit", (code) => resolve(code === 0));
  });
}
