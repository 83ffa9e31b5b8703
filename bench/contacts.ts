import { open, stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import type { Database } from "../src/storage/pool.ts";
import { freePort, type Place } from "./place.ts";
import { startServer } from "./server.ts";
import { type Row, round, row } from "./table.ts";

const CONTACTS = Number(process.env.BENCH_CONTACTS ?? 1_000_000);
const LINES_AT_A_TIME = 10_000;
const POLL_MS = 100;
const KEY = "edgr_bench_0123456789abcdef";

/** A file of contacts imported, imported again and exported, over HTTP, and the same rows through plain COPY. */
export async function measureContacts({ dir, dataDir, withDatabase }: Place): Promise<Row[]> {
  const file = path.join(dir, "contacts.csv");
  await writeContacts(file);
  const server = await startServer(dataDir, await freePort(), { EDGR_API_KEY: KEY });
  const api = connect(server.origin);
  const first = await api.importFile(file);
  const again = await api.importFile(file);
  const exported = await api.download("/contacts/export");
  const peakMiB = await server.peakRssMiB();
  await server.stop();
  const copy = await withDatabase(copyContacts);
  const megabytes = ((await stat(file)).size / 1e6).toFixed(0);
  return [
    row("upload", `${round(first.uploadedPerSecond / 1e6)} MB/s`, `${megabytes} MB`, null, "—"),
    row("rows imported", `${round(first.created)}`, `${round(CONTACTS)} in the file`, null, "all"),
    row(
      "import against COPY",
      `${round(first.rowsPerSecond)}/s`,
      `${round(copy.inPerSecond)}/s`,
      first.rowsPerSecond / copy.inPerSecond,
      "—",
    ),
    row(
      "import that changes nothing",
      `${round(again.rowsPerSecond)}/s`,
      `${round(copy.inPerSecond)}/s`,
      again.rowsPerSecond / copy.inPerSecond,
      "—",
    ),
    row(
      "export against COPY",
      `${round(exported.lines / exported.seconds)}/s`,
      `${round(copy.outPerSecond)}/s`,
      exported.lines / exported.seconds / copy.outPerSecond,
      "—",
    ),
    row("peak server memory", `${peakMiB.toFixed(0)} MiB`, "", null, "≤ 300 MiB"),
  ];
}

async function writeContacts(file: string): Promise<void> {
  const handle = await open(file, "w");
  await handle.write("email,First name,Last name,Plan,City,Time zone,Tags\n");
  for (let number = 0; number < CONTACTS; number += LINES_AT_A_TIME) {
    const lines = Array.from({ length: Math.min(LINES_AT_A_TIME, CONTACTS - number) }, (_, at) => {
      const n = number + at;
      return `person${n}@example${n % 1000}.com,Ann ${n},"Smith, ${n % 977}",${n % 3 ? "free" : "pro"},City ${n % 5000},Europe/Paris,"news,group${n % 50}"\n`;
    });
    await handle.write(lines.join(""));
  }
  await handle.close();
}

type Progress = { created: number; unchanged: number; rowsPerSecond: number };

function connect(origin: string) {
  const authorization = { Authorization: `Bearer ${KEY}` };

  async function call(method: string, address: string, init: RequestInit = {}) {
    const response = await fetch(`${origin}/api/v1${address}`, {
      method,
      ...init,
      headers: { ...authorization, ...init.headers },
    });
    if (!response.ok) throw new Error(`${method} ${address}: ${response.status} ${await response.text()}`);
    return response;
  }

  return {
    /** Uploads and imports a file, to its end. */
    async importFile(file: string): Promise<Progress & { uploadedPerSecond: number }> {
      const begun = performance.now();
      const { size } = await stat(file);
      const handle = await open(file);
      const uploaded = await call("POST", "/contacts/imports?start=true", {
        headers: { "Content-Type": "text/csv" },
        body: new ReadableStream({
          async pull(controller) {
            const { bytesRead, buffer } = await handle.read(Buffer.alloc(64 * 1024));
            if (bytesRead === 0) controller.close();
            else controller.enqueue(buffer.subarray(0, bytesRead));
          },
        }),
      });
      await handle.close();
      const uploadedPerSecond = (size / (performance.now() - begun)) * 1000;
      const { id } = await uploaded.json();
      const started = performance.now();
      for (;;) {
        const { status, progress } = await (await call("GET", `/contacts/imports/${id}`)).json();
        if (status === "completed") {
          const seconds = (performance.now() - started) / 1000;
          return { ...progress, uploadedPerSecond, rowsPerSecond: progress.rows / seconds };
        }
        if (status !== "running") throw new Error(`the import is ${status}`);
        await sleep(POLL_MS);
      }
    },
    async download(address: string): Promise<{ lines: number; seconds: number }> {
      const begun = performance.now();
      let lines = 0;
      for await (const bytes of (await call("GET", address)).body ?? [])
        for (const byte of bytes) if (byte === 0x0a) lines += 1;
      return { lines, seconds: (performance.now() - begun) / 1000 };
    },
  };
}

// COPY reads and writes a file of the server's, so that neither the client nor the wire is part of the reference.
async function copyContacts({ db, pool }: Database): Promise<{ inPerSecond: number; outPerSecond: number }> {
  await sql`create table bench_copy (like contact including all)`.execute(db);
  const found = await sql<{ file: string }>`
    select current_setting('data_directory') || '/bench_copy' as file`.execute(db);
  const file = found.rows[0]?.file ?? "bench_copy";
  const outPerSecond = await rate(() => pool.query(`copy contact to '${file}'`));
  const inPerSecond = await rate(() => pool.query(`copy bench_copy from '${file}'`));
  await sql`drop table bench_copy`.execute(db);
  return { inPerSecond, outPerSecond };
}

async function rate(work: () => Promise<{ rowCount: number | null }>): Promise<number> {
  const begun = performance.now();
  const { rowCount } = await work();
  return ((rowCount ?? 0) / (performance.now() - begun)) * 1000;
}
