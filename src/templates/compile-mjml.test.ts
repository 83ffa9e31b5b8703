import { expect, test } from "bun:test";
import { compileMjml } from "./compile-mjml.ts";
import { markLiquid } from "./mjml.ts";

function document(text: string) {
  const marked = markLiquid([{ text, isLiquid: false, template: null, line: 1 }]);
  if (!marked.ok) throw new Error(marked.reason);
  return marked.document;
}

test("what takes too long is stopped, with all that waits behind it", async () => {
  const section = "<mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section>";
  const long = document(`<mjml><mj-body>${section.repeat(4000)}</mj-body></mjml>`);
  const [first, second] = await compileMjml([long, document("<mjml><mj-body></mj-body></mjml>")], 1);
  expect(first).toEqual({ ok: false, reason: "its MJML takes longer than 0.001 s to become HTML" });
  expect(second).toEqual(first);
});
