import { clickUrl, pixelUrl, unsubscribeUrl } from "../../src/tracking/links.ts";
import { createTokens, type SigningKey, urlDigest } from "../../src/tracking/token.ts";
import type { Run } from "./campaigns.ts";

export const SHOP = "https://example.com/buy";
const BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0";

/** What was asked and how it was answered; `hit` is in the user agent, by which its event is found. */
export type Answer = {
  hit: string;
  kind: "pixel" | "click" | "unsubscribe" | "resubscribe";
  runId: string;
  /** `none`: the connection broke, and nobody knows. `done`, `kept`: what the page of an unsubscribe said. */
  said: "gif" | "redirect" | "done" | "kept" | "later" | "none";
  atMs: number;
  tookMs: number;
};

export type EdgeLoad = {
  answers: Answer[];
  /** Asks no more, and waits for what is under way. */
  stop(): Promise<void>;
};

type Links = { runId: string; pixel: string; click: string; unsubscribe: string };

export function linksOf(runs: readonly Run[], keys: readonly SigningKey[], origin: string): Links[] {
  const tokens = createTokens(keys);
  const expiresAt = Math.floor(Date.now() / 1000) + 24 * 3600;
  return runs.map((run) => {
    const { customerId, campaignId, id: runId, messageId } = run;
    if (messageId === null) throw new Error("a run has no message");
    const sign = (digest: string | null) =>
      tokens.sign({ customerId, campaignId, node: "hello", runId, messageId, expiresAt, urlDigest: digest });
    return {
      runId,
      pixel: pixelUrl(origin, sign(null)),
      click: clickUrl(origin, sign(urlDigest(SHOP)), SHOP),
      unsubscribe: unsubscribeUrl(origin, sign(null)),
    };
  });
}

/**
 * People who open and click, over so many connections, one after the other; every hundredth of them unsubscribes for
 * good or, after the answer, subscribes again. Each has a message of their own for that.
 */
export function startLoad(links: readonly Links[], connections: number): EdgeLoad {
  const answers: Answer[] = [];
  let stopping = false;
  let number = 0;
  let leaver = 0;

  async function ask(kind: Answer["kind"], link: Links): Promise<Answer> {
    number += 1;
    const hit = `hit/${number}`;
    const begun = performance.now();
    const said = await request(kind, link, hit).catch(() => "none" as const);
    const tookMs = performance.now() - begun;
    const answer = { hit, kind, runId: link.runId, said, atMs: begun, tookMs };
    answers.push(answer);
    if (said === "none") await new Promise((resolve) => setTimeout(resolve, 20));
    return answer;
  }

  async function person(): Promise<void> {
    for (let turn = 0; !stopping; turn += 1) {
      const link = links[number % links.length];
      if (link === undefined) throw new Error("there are no links");
      if (number % 100 === 99) await leave();
      else await ask(turn % 3 === 2 ? "click" : "pixel", link);
    }
  }

  async function leave(): Promise<void> {
    const link = links[leaver];
    leaver += 1;
    number += 1;
    if (link === undefined) return;
    const comesBack = leaver % 2 === 0;
    const { said } = await ask("unsubscribe", link);
    if (comesBack && (said === "done" || said === "kept")) await ask("resubscribe", link);
  }

  const people = Promise.all(Array.from({ length: connections }, person));
  return {
    answers,
    async stop() {
      stopping = true;
      await people;
    },
  };
}

async function request(kind: Answer["kind"], link: Links, hit: string): Promise<Answer["said"]> {
  const headers = { "User-Agent": `${BROWSER} ${hit}` };
  switch (kind) {
    case "pixel": {
      const answer = await fetch(link.pixel, { headers });
      await answer.arrayBuffer();
      return answer.status === 200 ? "gif" : "later";
    }
    case "click": {
      const answer = await fetch(link.click, { headers, redirect: "manual" });
      await answer.arrayBuffer();
      return answer.status === 302 && answer.headers.get("Location") === SHOP ? "redirect" : "later";
    }
    case "unsubscribe":
      return readPage(await fetch(link.unsubscribe, { headers }));
    case "resubscribe": {
      const type = { "Content-Type": "application/x-www-form-urlencoded" };
      const init = { method: "POST", headers: { ...headers, ...type }, body: "action=resubscribe" };
      return readPage(await fetch(link.unsubscribe, init));
    }
  }
}

async function readPage(answer: Response): Promise<Answer["said"]> {
  const page = await answer.text();
  if (page.includes("You are unsubscribed") || page.includes("You are subscribed again")) return "done";
  return page.includes("We have your request") ? "kept" : "later";
}
