import fc from "fast-check";
import { WEEKDAYS } from "../../src/campaigns/node-schema.ts";
import type {
  Campaign,
  Edge,
  EmailMessageNode,
  Graph,
  Node,
  NodeType,
  TelegramMessageNode,
} from "../../src/campaigns/schema.ts";
import type { Filter } from "../../src/contacts/filter.ts";

export const CREDENTIAL_ID = "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a24";

export const LINKS = [
  "https://example.com/buy",
  "https://example.com/read?a=1&b=2",
  "http://example.org/",
] as const;

/** A message as the API would fill it in, with every one of `LINKS` in its HTML. */
export function messageNode(id: string, overrides: Partial<EmailMessageNode> = {}): EmailMessageNode {
  return {
    id,
    type: "message",
    channel: "email",
    credentialId: CREDENTIAL_ID,
    from: null,
    replyTo: null,
    subject: "Hello {{ contact.email }}",
    format: "html",
    html: LINKS.map((link) => `<a href="${link.replaceAll("&", "&amp;")}">a link</a>`).join("\n"),
    text: null,
    unsubscribeLink: true,
    trackOpens: true,
    trackClicks: true,
    ...overrides,
  };
}

/** A Telegram message as the API would fill it in, with the first of `LINKS` in its text and the second on a button. */
export function telegramNode(id: string, overrides: Partial<TelegramMessageNode> = {}): TelegramMessageNode {
  return {
    id,
    type: "message",
    channel: "telegram",
    credentialId: CREDENTIAL_ID,
    text: `Hello, have a <a href="${LINKS[0]}">look</a>.`,
    photo: null,
    buttons: [[{ text: "Read", url: LINKS[1] }]],
    unsubscribeButton: true,
    trackClicks: true,
    silent: false,
    protectContent: false,
    ...overrides,
  };
}

export function edge(
  id: string,
  from: string,
  to: string,
  firesWhen: Edge["firesWhen"] = "always",
  url: string | null = null,
  more: { within?: string; variant?: string } = {},
): Edge {
  return { id, from, to, firesWhen, url, within: null, variant: null, ...more };
}

/** A graph with the settings that the API would fill in. */
export function graphOf(nodes: Node[], edges: Edge[], settings: Partial<Graph> = {}): Graph {
  return {
    nodes,
    edges,
    countAutomaticHits: false,
    maxRounds: 10,
    exitOn: [],
    reenrollAfter: null,
    timeZone: "UTC",
    quietHours: null,
    ignoreFrequencyCap: false,
    topicId: null,
    ...settings,
  };
}

/** What the conditions of `validCampaign` ask of a contact, among other things. */
export const drawnContact = fc.record({
  timeZone: fc.constantFrom(null, "Europe/Paris", "America/New_York"),
  attributes: fc.record({
    plan: fc.constantFrom("pro", "free"),
    score: fc.integer({ min: 0, max: 9 }),
    trial: fc.boolean(),
  }),
  tags: fc.subarray(["vip", "old"]),
});

/**
 * Campaigns that `validateCampaign` has nothing against, of every type of node: every node after the first hangs
 * below an earlier one that is no exit, more edges lead anywhere, back and to their own node too, and the lists are
 * in any order. Of two nodes that begin together none changes what the other asks for or sets, so that it does not
 * matter which comes first.
 */
export function validCampaign({ credentialId = CREDENTIAL_ID, maxNodes = 10 } = {}): fc.Arbitrary<Campaign> {
  return fc
    .record({
      types: fc.array(nodeType, { minLength: 1, maxLength: maxNodes }),
      details: fc.infiniteStream(details),
      ways: fc.array(way, { minLength: maxNodes - 1, maxLength: maxNodes * 3 }),
      settings,
    })
    .chain(({ types, details, ways, settings }) => {
      const nodes = types.map((type, index) => {
        const isFirstOfMany = index === 0 && types.length > 1;
        return drawnNode(index, isFirstOfMany && type === "exit" ? "wait" : type, take(details), {
          credentialId,
          count: types.length,
        });
      });
      const edges = drawnEdges(nodes, ways, settings.exitOn);
      return fc.record({ nodes: shuffled(nodes), edges: shuffled(edges) }).map((shuffled) => ({
        name: "A campaign",
        ...graphOf(withEntryFirst(shuffled), shuffled.edges, settings),
      }));
    });
}

const nodeType = fc.constantFrom<NodeType[]>(
  "message",
  "message",
  "message",
  "message",
  "wait",
  "condition",
  "split",
  "update-contact",
  "webhook",
  "exit",
);

const settings = fc.record({
  countAutomaticHits: fc.boolean(),
  maxRounds: fc.integer({ min: 1, max: 3 }),
  exitOn: fc.constantFrom<Graph["exitOn"][]>([], [], [], ["unsubscribed"], ["replied", "unsubscribed"]),
  timeZone: fc.constantFrom("UTC", "Asia/Tokyo"),
});

const DURATIONS = ["PT1S", "PT30M", "P2D", "P1W", "P1DT12H", "P1M"] as const;

const details = fc.record({
  duration: fc.constantFrom(...DURATIONS),
  pause: fc.constantFrom("duration", "until", "at"),
  until: fc.constantFrom("2020-02-29T09:00", "2050-12-24T09:00+02:00", "2040-06-01T00:00:00Z"),
  time: fc.constantFrom("00:00", "09:30"),
  weekdays: fc.subarray([...WEEKDAYS], { minLength: 1 }),
  weights: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 3 }),
  node: fc.nat(),
  question: fc.nat(),
  isNegated: fc.boolean(),
});

type Details = typeof details extends fc.Arbitrary<infer T> ? T : never;

const way = fc.record({
  from: fc.nat(),
  to: fc.nat(),
  isBack: fc.boolean(),
  trigger: fc.nat(),
  url: fc.constantFrom(null, ...LINKS),
  within: fc.constantFrom(...DURATIONS),
});

type Way = typeof way extends fc.Arbitrary<infer T> ? T : never;

function drawnNode(
  index: number,
  type: NodeType,
  drawn: Details,
  { credentialId, count }: { credentialId: string; count: number },
): Node {
  const id = `n${index}`;
  const other = `n${drawn.node % count}`;
  switch (type) {
    case "message":
      return messageNode(id, { credentialId });
    case "wait":
      if (drawn.pause === "duration") return { id, type, duration: drawn.duration };
      if (drawn.pause === "until") return { id, type, until: drawn.until };
      return { id, type, at: { time: drawn.time, weekdays: drawn.weekdays } };
    case "condition": {
      const asked = questions(other)[drawn.question % questions(other).length] ?? { all: [] };
      return { id, type, if: drawn.isNegated ? { not: asked } : asked };
    }
    case "split":
      return { id, type, variants: drawn.weights.map((weight, at) => ({ id: `v${at}`, weight })) };
    case "update-contact":
      return {
        id,
        type,
        set: { [id]: drawn.isNegated ? drawn.question : { node: other, output: "score" } },
        unset: ["trial"],
        addTags: [id],
        removeTags: ["old"],
      };
    case "webhook":
      return {
        id,
        type,
        url: "https://example.com/hook",
        method: "POST",
        headers: {},
        body: null,
        timeoutSeconds: 10,
        output: { score: "data.score" },
      };
    case "exit":
      return { id, type };
  }
}

/** About the contact, about what another node of the campaign has changed in it, and about what one gave. */
function questions(other: string): Filter[] {
  return [
    { attribute: "plan", is: "equals", value: "pro" },
    { tag: "vip" },
    { attribute: "score", is: "atLeast", value: 5 },
    { attribute: "trial", is: "exists" },
    { any: [{ tag: other }, { attribute: other, is: "greaterThan", value: 3 }] },
    { event: "email_opened" },
    { all: [{ event: "email_clicked", atLeast: 2 }, { not: { tag: "old" } }] },
    { node: other, output: "opened", is: "equals", value: true },
    { node: other, output: "score", is: "exists" },
    { node: other, output: "variant", is: "in", value: ["v0", "v2"] },
    { node: other, output: "result", is: "notEquals", value: true },
  ];
}

function triggersOf(node: Node, { url, within, trigger }: Way, exitOn: Graph["exitOn"]) {
  const variant = node.type === "split" ? (node.variants[trigger % node.variants.length]?.id ?? "") : "";
  const plain = (...names: Edge["firesWhen"][]) => names.map((firesWhen) => ({ firesWhen }));
  switch (node.type) {
    case "message":
      return [
        ...plain("always", "sent", "failed", "delivered", "bounced", "complained", "opened"),
        { firesWhen: "clicked" as const, url },
        ...plain("replied", "unsubscribed").filter(({ firesWhen }) => !exitOn.some((on) => on === firesWhen)),
        ...plain("notOpened", "notClicked", "notReplied", "notOpened", "notClicked", "notOpened").map(
          (not) => ({
            ...not,
            within,
          }),
        ),
        // So that many a message has edges of both signs.
        ...plain("opened", "clicked", "opened"),
      ];
    case "condition":
      return plain("true", "false", "true", "false", "always");
    case "split":
      return [{ firesWhen: "variant" as const, variant }, ...plain("always")];
    case "webhook":
      return plain("sent", "failed", "always");
    default:
      return plain("always");
  }
}

/** First a way to each node from an earlier one, then from anywhere to anywhere; of those that are the same, one. */
function drawnEdges(nodes: readonly Node[], ways: readonly Way[], exitOn: Graph["exitOn"]): Edge[] {
  const edges = new Map<string, Edge>();
  ways.forEach((way, index) => {
    const isTree = index < nodes.length - 1;
    const to = nodes[isTree ? index + 1 : way.to % nodes.length];
    const earlier = isTree ? nodes.slice(0, index + 1) : nodes;
    const parents = earlier.filter((node) => node.type !== "exit");
    const from = parents[way.from % parents.length];
    if (from === undefined || to === undefined) return;
    if (!isTree && !way.isBack && nodes.indexOf(to) <= nodes.indexOf(from)) return;
    const triggers = triggersOf(from, way, exitOn);
    const { firesWhen, ...more } = triggers[way.trigger % triggers.length] ?? { firesWhen: "always" };
    const drawn = { ...edge("", from.id, to.id, firesWhen), ...more };
    const key = JSON.stringify(drawn);
    if (!edges.has(key)) edges.set(key, { ...drawn, id: `e${edges.size}` });
  });
  return [...edges.values()];
}

/** When an edge leads back to the first node, it is the entry only because it is the first. */
function withEntryFirst({ nodes, edges }: { nodes: Node[]; edges: Edge[] }): Node[] {
  const isLedTo = edges.some((edge) => edge.to === "n0" && edge.from !== "n0");
  return isLedTo ? nodes.toSorted((a, b) => Number(b.id === "n0") - Number(a.id === "n0")) : nodes;
}

function take<T>(stream: fc.Stream<T>): T {
  const next = stream.next();
  if (next.done === true) throw new Error("an endless stream ended");
  return next.value;
}

function shuffled<T>(items: T[]): fc.Arbitrary<T[]> {
  return fc.shuffledSubarray(items, { minLength: items.length });
}
