import { parse, serialize } from "parse5";
import { newId } from "../src/events/id.ts";
import { compileEmail, composeEmail } from "../src/messages/compose.ts";
import type { Tokens } from "../src/tracking/token.ts";

const HTML_BYTES = 100_000;
const LINKS = 50;
const ROUNDS = 60;

export type ComposeResult = { composedPerSecond: number; parsedPerSecond: number };

/**
 * Personalised and tracked emails of 100 kB with 50 links, and beside each the same HTML parsed and serialised
 * by parse5, in turn, so that both meet the same machine.
 */
export function measureCompose(tokens: Tokens): ComposeResult {
  const template = html("{{ contact.attributes.firstName }}");
  const plain = html("Ann");
  const compiled = compileEmail({
    fromEmail: "news@example.com",
    fromName: "News",
    replyTo: null,
    subject: "Hi {{ contact.attributes.firstName }}",
    html: template,
    text: null,
    unsubscribeLink: true,
    trackOpens: true,
    trackClicks: true,
  });
  if (!compiled.ok) throw new Error(compiled.reason);
  let composing = 0;
  let parsing = 0;
  for (let round = -5; round < ROUNDS; round += 1) {
    const begun = performance.now();
    const composed = composeEmail(compiled.email, context(tokens, round));
    const between = performance.now();
    serialize(parse(plain));
    const ended = performance.now();
    if (!composed.ok) throw new Error(composed.reason);
    if (round < 0) continue;
    composing += between - begun;
    parsing += ended - between;
  }
  return { composedPerSecond: (ROUNDS / composing) * 1000, parsedPerSecond: (ROUNDS / parsing) * 1000 };
}

function context(tokens: Tokens, round: number) {
  return {
    ids: { customerId: newId(), campaignId: newId(), nodeId: "hello", runId: newId(), messageId: newId() },
    contact: { email: `c${round}@example.com`, attributes: { firstName: `Ann ${round}` }, tags: [] },
    campaignName: "Bench",
    publicUrl: "https://edgr.example.com",
    postalAddress: "1 Main Street, Springfield",
    configurationSet: null,
    replyAddress: null,
    tokens,
    now: Date.now(),
  };
}

function html(name: string): string {
  const row = (number: number, filling: string) =>
    `<tr><td style="padding:8px 16px;font:14px/20px Arial,sans-serif;color:#222"><p>Dear ${name}, offer ${number}:
     <a href="https://shop.example.com/p/${number}?utm_source=news&amp;utm_medium=email" style="color:#06c">look</a>
     ${filling}</p></td></tr>`;
  const page = (filling: string) =>
    `<!doctype html><html><head><title>News</title></head><body><table>${Array.from(
      { length: LINKS },
      (_, number) => row(number, filling),
    ).join("")}</table></body></html>`;
  const sentence = "<span>Plenty of words about it, <b>some</b> of them bold.</span> ";
  const room = (HTML_BYTES - page("").length) / LINKS;
  return page(sentence.repeat(Math.floor(room / sentence.length)));
}
