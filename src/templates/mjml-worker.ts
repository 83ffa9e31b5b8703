import { parentPort } from "node:worker_threads";
import mjml2html from "mjml-browser";
import type { MjmlOutput } from "./mjml.ts";
import { wrapMarks } from "./mjml-structure.ts";

parentPort?.once("message", async (documents: { text: string; mark: string }[]) => {
  for (const { text, mark } of documents) parentPort?.postMessage(await compile(text, mark));
});

// Without fonts, because MJML's own would have every reader's mail program ask Google for them; mj-font adds some.
const OPTIONS = { validationLevel: "soft", fonts: {} } as const;

async function compile(text: string, mark: string): Promise<MjmlOutput> {
  try {
    const { html, errors } = await mjml2html(wrapMarks(text, mark), OPTIONS);
    return {
      ok: true,
      html,
      errors: errors.map(({ line, message, tagName }) => ({ line, message, tagName })),
    };
  } catch (error) {
    if (error instanceof RangeError) return { ok: false, reason: "it is nested too deeply" };
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
}
