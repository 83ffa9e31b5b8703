import fc from "fast-check";
import type { Campaign, Edge, MessageNode, Node } from "../../src/campaigns/schema.ts";

export const CREDENTIAL_ID = "019a2f4e-7c1d-7b32-9d0a-5e8f3c6b1a24";

const LINKS = ["https://example.com/buy", "https://example.com/read?a=1&b=2", "http://example.org/"] as const;
const MESSAGE_TRIGGERS = ["always", "sent", "failed", "opened", "clicked", "unsubscribed"] as const;
const DURATIONS = ["PT1S", "PT30M", "P2D", "P1W", "P1DT12H"] as const;

/** A message as the API would fill it in, with every one of `LINKS` in its HTML. */
export function messageNode(id: string, overrides: Partial<MessageNode> = {}): MessageNode {
  return {
    id,
    type: "message",
    channel: "email",
    credentialId: CREDENTIAL_ID,
    from: null,
    replyTo: null,
    subject: "Hello {{ contact.email }}",
    html: LINKS.map((link) => `<a href="${link.replaceAll("&", "&amp;")}">a link</a>`).join("\n"),
    text: null,
    unsubscribeLink: true,
    trackOpens: true,
    trackClicks: true,
    ...overrides,
  };
}

export function edge(
  id: string,
  from: string,
  to: string,
  firesWhen: Edge["firesWhen"] = "always",
  url: string | null = null,
): Edge {
  return { id, from, to, firesWhen, url };
}

/**
 * Campaigns that `validateCampaign` has nothing against: every node after the first hangs below an earlier one
 * that is no exit, more edges lead only forward, and the lists are in any order.
 */
export function validCampaign({ credentialId = CREDENTIAL_ID, maxNodes = 10 } = {}): fc.Arbitrary<Campaign> {
  return fc
    .tuple(
      fc.record({ kind: nodeKind, duration: fc.constantFrom(...DURATIONS) }),
      fc.array(
        fc.record({ kind: nodeKind, duration: fc.constantFrom(...DURATIONS), trigger, parent: fc.nat() }),
        {
          maxLength: maxNodes - 1,
        },
      ),
      fc.array(fc.record({ trigger, parent: fc.nat(), child: fc.nat() }), { maxLength: maxNodes * 2 }),
      fc.boolean(),
    )
    .chain(([first, rest, more, countAutomaticHits]) => {
      const nodes = [
        { ...first, kind: rest.length > 0 && first.kind === "exit" ? "wait" : first.kind },
        ...rest,
      ].map((drawn, index) => drawnNode(`n${index}`, drawn.kind, drawn.duration, credentialId));
      const edges = forwardEdges(nodes, [
        ...rest.map((drawn, index) => ({ ...drawn, child: index + 1 })),
        ...more.map((drawn) => ({ ...drawn, child: drawn.child % nodes.length })),
      ]);
      return fc.record({
        name: fc.constant("A campaign"),
        nodes: shuffled(nodes),
        edges: shuffled(edges),
        countAutomaticHits: fc.constant(countAutomaticHits),
      });
    });
}

type Kind = Node["type"];
type Trigger = { firesWhen: Edge["firesWhen"]; url: string | null };
type Drawn = { trigger: Trigger; parent: number; child: number };

const nodeKind = fc.constantFrom<Kind[]>("message", "message", "wait", "exit");

const trigger: fc.Arbitrary<Trigger> = fc
  .tuple(fc.constantFrom(...MESSAGE_TRIGGERS), fc.constantFrom(null, ...LINKS))
  .map(([firesWhen, url]) => ({ firesWhen, url: firesWhen === "clicked" ? url : null }));

function drawnNode(id: string, kind: Kind, duration: string, credentialId: string): Node {
  if (kind === "message") return messageNode(id, { credentialId });
  return kind === "wait" ? { id, type: "wait", duration } : { id, type: "exit" };
}

function forwardEdges(nodes: readonly Node[], drawn: readonly Drawn[]): Edge[] {
  const edges = new Map<string, Edge>();
  for (const { trigger, parent, child } of drawn) {
    const parents = nodes.slice(0, child).filter((node) => node.type !== "exit");
    const from = parents[parent % parents.length];
    const to = nodes[child];
    if (from === undefined || to === undefined) continue;
    const { firesWhen, url } =
      from.type === "message" ? trigger : { firesWhen: "always" as const, url: null };
    const key = [from.id, to.id, firesWhen, url].join(" ");
    if (!edges.has(key)) edges.set(key, edge(`e${edges.size}`, from.id, to.id, firesWhen, url));
  }
  return [...edges.values()];
}

function shuffled<T>(items: T[]): fc.Arbitrary<T[]> {
  return fc.shuffledSubarray(items, { minLength: items.length });
}
