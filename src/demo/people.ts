import { Parser } from "htmlparser2";
import type { Done, Journal, Mail } from "./journal.ts";

const BROWSER =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Safari/537.36";
const GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
const APPLE_PRIVACY = "Mozilla/5.0";
const GATEWAY = "Mozilla/5.0 (compatible; BarracudaSentinel/1.0)";

const USER_AGENTS: Record<Done["agent"], string> = {
  human: BROWSER,
  proxy: GMAIL,
  prefetch: APPLE_PRIVACY,
  scanner: GATEWAY,
};

type Step = { action: Done["action"]; agent: Done["agent"]; url: string; init: RequestInit };

/**
 * What the recipient of a mail does with it. Recipients differ by their number: of twenty, one sits behind a
 * gateway that follows every link, one behind a privacy proxy, two behind an image proxy, eleven read, some of
 * these click, some unsubscribe in each of the ways, one of them by mistake, and the rest leave it lying. They
 * unsubscribe from their first mail: whoever does it again, from one that was under way, changes and is counted as nothing.
 */
export function stepsFor(mail: Mail): Step[] {
  const { pixel, links } = trackedAddresses(mail.html);
  const open = (agent: Done["agent"]): Step => ({ action: "open", agent, url: pixel, init: {} });
  const click = (agent: Done["agent"]): Step[] =>
    links.map((url): Step => ({ action: "click", agent, url, init: {} }));
  const isFirst = mail.node === "welcome";
  const unsubscribe: Step = { action: "unsubscribe", agent: "human", url: mail.unsubscribe, init: {} };
  switch (numberOf(mail.to) % 20) {
    case 0:
      return [open("scanner"), ...click("scanner"), { ...unsubscribe, action: "scan", agent: "scanner" }];
    case 1:
      return [open("prefetch")];
    case 2:
    case 3:
      return [open("proxy")];
    case 4:
    case 5:
    case 6:
    case 7:
      return [open("human")];
    case 8:
    case 9:
      return [open("human"), open("human")];
    case 10:
    case 11:
    case 12:
    case 13:
      return [open("human"), ...click("human")];
    case 14:
      return isFirst ? [open("human"), unsubscribe] : [open("human")];
    case 15:
      return isFirst ? [{ ...unsubscribe, init: post({ "List-Unsubscribe": "One-Click" }) }] : [];
    case 16:
      if (!isFirst) return [open("human")];
      return [
        open("human"),
        unsubscribe,
        { ...unsubscribe, action: "resubscribe", init: post({ action: "resubscribe" }) },
      ];
    default:
      return [];
  }
}

/** Does everything that has not been tried yet for a mail, one step after the other, and keeps a record. */
export async function actOn(mail: Mail, journal: Journal, tried: Set<string>): Promise<void> {
  for (const [index, step] of stepsFor(mail).entries()) {
    const id = `${mail.to}/${mail.node}/${index}`;
    if (tried.has(id)) continue;
    tried.add(id);
    journal.add({ kind: "trying", id });
    const headers = {
      ...Object.fromEntries(new Headers(step.init.headers)),
      "User-Agent": USER_AGENTS[step.agent],
    };
    const answer = await fetch(step.url, { ...step.init, headers, redirect: "manual" });
    await answer.arrayBuffer();
    const { action, agent } = step;
    journal.add({ kind: "done", id, to: mail.to, node: mail.node, action, agent, status: answer.status });
  }
}

export function numberOf(address: string): number {
  return Number(/\d+/.exec(address)?.[0] ?? Number.NaN);
}

function post(fields: Record<string, string>): RequestInit {
  return { method: "POST", body: new URLSearchParams(fields) };
}

function trackedAddresses(html: string): { pixel: string; links: string[] } {
  const links: string[] = [];
  let pixel = "";
  const parser = new Parser({
    onopentag(name, { src = "", href = "" }) {
      if (name === "img" && src.includes("/api/tracking/pixel.gif")) pixel = src;
      if (name === "a" && href.includes("/api/tracking/click")) links.push(href);
    },
  });
  parser.end(html);
  return { pixel, links };
}
