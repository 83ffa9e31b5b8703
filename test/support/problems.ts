import type {
  Campaign,
  ConditionNode,
  Edge,
  Node,
  SplitNode,
  UpdateContactNode,
  WebhookNode,
} from "../../src/campaigns/schema.ts";
import { validateCampaign } from "../../src/campaigns/validate.ts";
import { edge, graphOf, messageNode } from "./graphs.ts";

export const HELLO = messageNode("hello", { html: '<a href="https://example.com/buy?a=1&amp;b=2">buy</a>' });
export const BUY = "https://example.com/buy?a=1&b=2";
export const PAUSE: Node = { id: "pause", type: "wait", duration: "P2D" };
export const END: Node = { id: "end", type: "exit" };
export const MARK: UpdateContactNode = {
  ...{ id: "mark", type: "update-contact", set: { plan: "pro" }, unset: [] },
  ...{ addTags: [], removeTags: [] },
};
export const IS_PRO: ConditionNode = {
  id: "isPro",
  type: "condition",
  if: { attribute: "plan", is: "equals", value: "pro" },
};
export const SPLIT: SplitNode = {
  id: "ab",
  type: "split",
  variants: ["a", "b"].map((id) => ({ id, weight: 50 })),
};
export const HOOK: WebhookNode = {
  ...{ id: "hook", type: "webhook", url: "https://crm.example.com/score", method: "POST" },
  ...{ headers: { "X-Source": "edgr" }, body: null, timeoutSeconds: 10, output: { score: "data.score" } },
};
export const LINE = [edge("e1", "hello", "pause"), edge("e2", "pause", "end")];

/** What `validateCampaign` has against a campaign, as "field: reason". */
export function problems(nodes: Node[], edges: Edge[], settings: Partial<Campaign> = {}): string[] {
  const campaign: Campaign = { name: "Welcome", ...graphOf(nodes, edges), ...settings };
  return validateCampaign(campaign).map(({ field, reason }) => `${field}: ${reason}`);
}

/** The problems of hello → pause → end with one more edge. */
export function problemsOfEdge(extra: Edge, hello: Node = HELLO): string[] {
  return problems([hello, PAUSE, END], [...LINE, extra]);
}
