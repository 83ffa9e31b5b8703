import { Worker } from "node:worker_threads";
import { type MjmlDocument, type MjmlHtml, type MjmlOutput, restoreLiquid } from "./mjml.ts";

/** A newsletter takes some 20 ms, and starting takes 200. */
const LIMIT_MS = 10_000;

/**
 * Compiles MJML in a thread of its own, which can be stopped and takes its 40 MB with it when it ends: a document
 * of a size that the API takes can need seconds, during which this thread would answer nobody.
 * @param limitMs for all of them together
 * @returns in the order given
 */
export async function compileMjml(
  documents: readonly MjmlDocument[],
  limitMs = LIMIT_MS,
): Promise<MjmlHtml[]> {
  if (documents.length === 0) return [];
  const worker = new Worker(new URL("./mjml-worker.ts", import.meta.url));
  try {
    const outputs = await answers(worker, documents, limitMs);
    const late = {
      ok: false as const,
      reason: `its MJML takes longer than ${limitMs / 1000} s to become HTML`,
    };
    return documents.map((document, index) => restoreLiquid(document, outputs[index] ?? late));
  } finally {
    await worker.terminate();
  }
}

/** What came in time, in order. */
function answers(worker: Worker, documents: readonly MjmlDocument[], limitMs: number): Promise<MjmlOutput[]> {
  const outputs: MjmlOutput[] = [];
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, limitMs, outputs);
    const settle = (done: () => void) => {
      clearTimeout(timer);
      done();
    };
    worker.on("error", (error) => settle(() => reject(error)));
    worker.on("message", (output: MjmlOutput) => {
      outputs.push(output);
      if (outputs.length === documents.length) settle(() => resolve(outputs));
    });
    worker.postMessage(
      documents.map(({ pieces, mark }) => ({ text: pieces.map((piece) => piece.text).join(""), mark })),
    );
  });
}
