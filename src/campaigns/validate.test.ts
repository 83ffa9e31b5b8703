import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { edge, messageNode, validCampaign } from "../../test/support/graphs.ts";
import type { Campaign, Edge, Node } from "./schema.ts";
import { validateCampaign } from "./validate.ts";

const HELLO = messageNode("hello", { html: '<a href="https://example.com/buy?a=1&amp;b=2">buy</a>' });
const BUY = "https://example.com/buy?a=1&b=2";
const PAUSE: Node = { id: "pause", type: "wait", duration: "P2D" };
const END: Node = { id: "end", type: "exit" };
const LINE = [edge("e1", "hello", "pause"), edge("e2", "pause", "end")];

/** The problems as "field: reason". */
function problems(nodes: Node[], edges: Edge[], name = "Welcome"): string[] {
  const campaign: Campaign = { name, nodes, edges, countAutomaticHits: false };
  return validateCampaign(campaign).map(({ field, reason }) => `${field}: ${reason}`);
}

/** The problems of hello → pause → end with one more edge. */
function problemsOfEdge(extra: Edge, hello: Node = HELLO): string[] {
  return problems([hello, PAUSE, END], [...LINE, extra]);
}

describe("a campaign's graph", () => {
  test("that is valid has no problem, whatever it looks like", () => {
    fc.assert(
      fc.property(validCampaign(), (campaign) => {
        expect(validateCampaign(campaign)).toEqual([]);
      }),
    );
  });

  test("may be a single node, and may end without an exit", () => {
    expect(problems([HELLO], [])).toEqual([]);
    expect(problems([END], [])).toEqual([]);
    expect(problems([HELLO, PAUSE], [edge("e1", "hello", "pause")])).toEqual([]);
  });

  test("needs unique ids, prototype names included", () => {
    expect(problems([HELLO, PAUSE, END, PAUSE], [...LINE, edge("e1", "hello", "end")])).toEqual([
      'nodes.3.id: node "pause" has the id of nodes.1; ids must be unique',
      'edges.2.id: edge "e1" has the id of edges.0; ids must be unique',
    ]);
    expect(problems([messageNode("__proto__"), { ...PAUSE, id: "constructor" }], [])).toEqual([
      'nodes: several nodes have no incoming edge, and only the entry may be without: "__proto__", "constructor"',
    ]);
    expect(problemsOfEdge(edge("toString", "hello", "constructor"))).toEqual([
      'edges.2.to: edge "toString" leads to node "constructor", which does not exist',
    ]);
  });

  test("has no edge to or from an unknown node", () => {
    expect(problemsOfEdge(edge("e3", "helo", "ending"))).toEqual([
      'edges.2.from: edge "e3" leaves node "helo", which does not exist',
      'edges.2.to: edge "e3" leads to node "ending", which does not exist',
    ]);
  });

  test("whose edge dangles names the edge and the missing node", () => {
    fc.assert(
      fc.property(
        withEdges,
        fc.nat(),
        fc.constantFrom("from" as const, "to" as const),
        (campaign, pick, end) => {
          const index = pick % campaign.edges.length;
          const edges = campaign.edges.map((one, at) => (at === index ? { ...one, [end]: "ghost" } : one));
          const found = validateCampaign({ ...campaign, edges }).find(
            ({ field }) => field === `edges.${index}.${end}`,
          );
          expect(found?.reason).toContain('node "ghost"');
          expect(found?.reason).toContain(`edge "${edges[index]?.id}"`);
        },
      ),
    );
  });

  test("without its entry names it", () => {
    fc.assert(
      fc.property(withEdges, (campaign) => {
        const entry = campaign.nodes.find(({ id }) => campaign.edges.every(({ to }) => to !== id));
        const nodes = campaign.nodes.filter((node) => node !== entry);
        const reasons = validateCampaign({ ...campaign, nodes }).map(({ reason }) => reason);
        expect(reasons.filter((reason) => reason.includes(`"${entry?.id}"`))).not.toEqual([]);
      }),
    );
  });

  test("with a way back names every node on the round", () => {
    fc.assert(
      fc.property(withEdges, fc.nat(), (campaign, pick) => {
        const forward = campaign.edges[pick % campaign.edges.length];
        if (forward === undefined) throw new Error("a campaign with edges has none");
        const edges = [...campaign.edges, edge("back", forward.to, forward.from)];
        const reasons = validateCampaign({ ...campaign, edges }).map(({ reason }) => reason);
        const cycle = reasons.find((reason) => reason.includes("closes the cycle"));
        expect(cycle).toContain(` ${forward.from} `);
        expect(cycle).toContain(` ${forward.to}`);
      }),
    );
  });

  test("can't be gone round", () => {
    const round = [messageNode("a"), messageNode("b"), messageNode("c")];
    const edges = [edge("e1", "a", "b"), edge("e2", "b", "c"), edge("e3", "c", "b", "opened")];
    expect(problems(round, edges)).toEqual([
      'edges.2: edge "e3" closes the cycle b → c → b, which can never be gone through again: a node runs once per enrollment',
    ]);
    expect(problems(round, [...edges, edge("e4", "c", "a")])).toContain(
      "nodes: there is no entry: exactly one node must have no incoming edge",
    );
  });

  test("names each of several cycles", () => {
    const four = ["a", "b", "c", "d"].map((id) => messageNode(id));
    const edges = [edge("e1", "a", "b"), edge("e2", "b", "a"), edge("e3", "c", "d"), edge("e4", "d", "c")];
    expect(problems(four, edges).filter((line) => line.includes("cycle"))).toHaveLength(2);
  });

  test("has no edge from a node to itself", () => {
    expect(problemsOfEdge(edge("e3", "hello", "hello"))).toEqual([
      'edges.2.to: edge "e3" leads from node "hello" to itself, but a node runs once per enrollment',
    ]);
  });

  test("has one entry, from which every node is reached", () => {
    expect(problems([HELLO, PAUSE, END], [edge("e1", "hello", "end")])).toEqual([
      'nodes: several nodes have no incoming edge, and only the entry may be without: "hello", "pause"',
    ]);
    const apart = [edge("e1", "hello", "end"), edge("e2", "x", "y"), edge("e3", "y", "x")];
    expect(problems([HELLO, END, messageNode("x"), messageNode("y")], apart).slice(0, 2)).toEqual([
      'nodes.2: node "x" can\'t be reached from "hello"',
      'nodes.3: node "y" can\'t be reached from "hello"',
    ]);
  });

  test("has no two edges that are the same", () => {
    expect(problemsOfEdge(edge("e3", "hello", "pause"))).toEqual([
      'edges.2: edge "e3" is the same as edge "e1"',
    ]);
    expect(problemsOfEdge(edge("e3", "hello", "pause", "sent"))).toEqual([]);
  });
});

describe("an edge that can never fire", () => {
  test("leaves an exit", () => {
    const nodes = [HELLO, END, PAUSE];
    expect(problems(nodes, [edge("e1", "hello", "end"), edge("e2", "end", "pause", "opened")])).toEqual([
      'edges.1.from: edge "e2" can never fire: the campaign ends at the exit "end"',
    ]);
  });

  test.each(["sent", "failed", "opened", "clicked", "unsubscribed"] as const)(
    "waits for %s at a wait",
    (firesWhen) => {
      expect(problemsOfEdge(edge("e3", "pause", "end", firesWhen))).toEqual([
        'edges.2.firesWhen: edge "e3" can never fire: from the wait node "pause" an edge fires when always',
      ]);
    },
  );

  test("waits for what its message does not track", () => {
    expect(problemsOfEdge(edge("e3", "hello", "end", "opened"), { ...HELLO, trackOpens: false })).toEqual([
      'edges.2.firesWhen: edge "e3" can never fire: node "hello" does not track opens (trackOpens)',
    ]);
    expect(
      problemsOfEdge(edge("e3", "hello", "end", "clicked", BUY), { ...HELLO, trackClicks: false }),
    ).toEqual([
      'edges.2.firesWhen: edge "e3" can never fire: node "hello" does not track clicks (trackClicks)',
    ]);
  });

  test("waits for a click where there is no link", () => {
    const plain = messageNode("hello", { html: "<p>Hi</p>" });
    const reason =
      'edges.2.firesWhen: edge "e3" can never fire: the html of node "hello" has no link that is tracked';
    expect(problemsOfEdge(edge("e3", "hello", "end", "clicked"), plain)).toEqual([reason]);
    expect(problemsOfEdge(edge("e3", "hello", "end", "clicked", BUY), plain)).toEqual([reason]);
  });

  test("waits for a link that the message does not have", () => {
    expect(problemsOfEdge(edge("e3", "hello", "end", "clicked", BUY))).toEqual([]);
    expect(problemsOfEdge(edge("e3", "hello", "end", "clicked", "https://example.com/buy"))).toEqual([
      `edges.2.url: edge "e3" can never fire: https://example.com/buy is no link in the html of node "hello", which has ${BUY}`,
    ]);
    const many = messageNode("hello", {
      html: [1, 2, 3, 4, 5]
        .map((n) => `<a href="https://example.com/${n}${"x".repeat(1000)}">n</a>`)
        .join(""),
    });
    const [reason] = problemsOfEdge(edge("e3", "hello", "end", "clicked", BUY), many);
    expect(reason).toEndWith(" and 2 more");
    expect(reason?.length).toBeLessThan(900);
  });

  test("is not suspected while Liquid may still write the link", () => {
    const html = '<a href="{{ contact.attributes.shop }}">shop</a>';
    expect(
      problemsOfEdge(edge("e3", "hello", "end", "clicked", BUY), messageNode("hello", { html })),
    ).toEqual([]);
  });

  test.each([
    "javascript:alert(1)",
    "ftp://example.com/",
    "example.com",
    "https://",
    "https://a@b.example/",
    "https://example.com/\0",
    "https://example.com/\ud800",
    "",
  ])("waits for the url %j", (url) => {
    expect(problemsOfEdge(edge("e3", "hello", "end", "clicked", url))[0]).toStartWith(
      'edges.2.url: edge "e3" ',
    );
  });

  test("names a link but does not wait for a click", () => {
    expect(problemsOfEdge(edge("e3", "hello", "end", "opened", BUY))).toEqual([
      'edges.2.url: edge "e3" fires when opened: only a clicked edge can have a url',
    ]);
  });
});

describe("a campaign's texts", () => {
  test("are not empty", () => {
    const blank = messageNode("hello", {
      subject: " ",
      html: "\n",
      text: "",
      from: { email: "a@example.com", name: "" },
    });
    expect(problems([blank], [], "")).toEqual([
      "name: the campaign's name must not be empty",
      'nodes.0.subject: the subject of node "hello" must not be empty',
      'nodes.0.html: the html of node "hello" must not be empty',
      'nodes.0.text: the text of node "hello" must not be empty',
      `nodes.0.from.name: the sender's name of node "hello" must not be empty`,
    ]);
  });

  test.each(["a\r\nBcc: eve@example.com", "a\nb", "a\tb", "a\u0000", "a\u007f", "a\u0085", "a\u2028b"])(
    "can't carry %j into a header",
    (line) => {
      const node = messageNode("hello", { subject: line, from: { email: "a@example.com", name: line } });
      expect(problems([node], [], line)).toEqual([
        "name: the campaign's name must not contain line breaks or control characters",
        'nodes.0.subject: the subject of node "hello" must not contain line breaks or control characters',
        `nodes.0.from.name: the sender's name of node "hello" must not contain line breaks or control characters`,
      ]);
    },
  );

  test.each(["\0", "\ud83d", "\ude00"])("can be stored, so they have no %j", (character) => {
    const node = messageNode("hello", {
      subject: "\ud83d\ude00",
      html: `a${character}`,
      text: `a${character}`,
    });
    expect(problems([node], [])).toEqual([
      'nodes.0.html: the html of node "hello" must not contain NUL or halves of surrogate pairs',
      'nodes.0.text: the text of node "hello" must not contain NUL or halves of surrogate pairs',
    ]);
    const surrogate = messageNode("hello", { subject: `a${character}` });
    expect(problems([surrogate], [])).toHaveLength(1);
  });

  test("of a wait are a duration", () => {
    const wait = (duration: string) => problems([{ id: "pause", type: "wait", duration }], []);
    expect(wait("2 days")).toEqual([
      'nodes.0.duration: the duration of node "pause" must be an ISO 8601 duration such as P2D, PT30M, P1W or P1DT12H',
    ]);
    expect(wait("P0D")).toHaveLength(1);
    expect(wait("P400D")).toHaveLength(1);
  });
});

test("the problems of nodes, edges and the whole come together", () => {
  const nodes = [messageNode("hello", { subject: "" }), PAUSE, END];
  const found = problems(nodes, [
    edge("e1", "hello", "end", "opened", BUY),
    edge("e2", "hello", "end", "sent"),
  ]);
  expect(found.map((line) => line.split(":")[0])).toEqual(["nodes.0.subject", "edges.0.url", "nodes"]);
});

const withEdges = validCampaign().filter((campaign) => campaign.edges.length > 0);
