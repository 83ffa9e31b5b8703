import { Parser } from "htmlparser2";
import { type Bubble, type Done, type Journal, type Mail, NUDGE } from "./journal.ts";
import { addressOf, clicksOn } from "./telegram-people.ts";

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
function stepsFor(mail: Mail): Step[] {
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

/** A step, as the journal knows it. */
export type Planned = Step & Pick<Done, "id" | "to" | "node">;

/** What somebody asks of EDGR over HTTP who got this; what else is done in Telegram goes through Telegram. */
export function planFor(message: Mail | Bubble): Planned[] {
  const isMail = message.kind === "mail";
  const { to, node } = recipientOf(message);
  const click = (url: string): Step => ({ action: "click", agent: "human", url, init: {} });
  const steps = isMail ? stepsFor(message) : clicksOn(message).map(click);
  return steps.map((step, index) => ({ ...step, id: `${nameOf(message)}/${index}`, to, node }));
}

/** The same for what somebody got twice. */
export function nameOf(message: Mail | Bubble): string {
  const { to, node } = recipientOf(message);
  return `${to}/${node}`;
}

function recipientOf(message: Mail | Bubble): Pick<Done, "to" | "node"> {
  return message.kind === "mail" ? message : { to: addressOf(message.chatId), node: NUDGE };
}

/** Does everything that has not been tried yet, one step after the other, and keeps a record. */
export async function actOn(message: Mail | Bubble, journal: Journal, tried: Set<string>): Promise<void> {
  for (const { id, to, node, action, agent, url, init } of planFor(message)) {
    if (tried.has(id)) continue;
    tried.add(id);
    journal.add({ kind: "trying", id });
    const headers = { ...Object.fromEntries(new Headers(init.headers)), "User-Agent": USER_AGENTS[agent] };
    const answer = await fetch(url, { ...init, headers, redirect: "manual" });
    await answer.arrayBuffer();
    const at = new Date().toISOString();
    journal.add({ kind: "done", id, to, node, action, agent, status: answer.status, at });
  }
}

/** Whether somebody opens a mail that he gets, sooner or later. */
export function opens(mail: Mail): boolean {
  return stepsFor({ ...mail, html: "" }).some((step) => step.action === "open" && isPerson(step));
}

export function isPerson({ agent }: Pick<Done, "agent">): boolean {
  return agent === "human" || agent === "proxy";
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
