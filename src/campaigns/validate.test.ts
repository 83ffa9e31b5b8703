import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { edge, messageNode, validCampaign } from "../../test/support/graphs.ts";
import { BUY, END, HELLO, LINE, PAUSE, problems, problemsOfEdge } from "../../test/support/problems.ts";
import { entriesOf } from "./graph.ts";
import type { Campaign } from "./schema.ts";
import { validateCampaign } from "./validate.ts";

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
        const [entry] = entriesOf(campaign);
        const nodes = campaign.nodes.filter((node) => node !== entry);
        const reasons = validateCampaign({ ...campaign, nodes }).map(({ reason }) => reason);
        expect(reasons.filter((reason) => reason.includes(`"${entry?.id}"`))).not.toEqual([]);
      }),
    );
  });

  test("may go round, also by an edge from a node to itself", () => {
    const round = [messageNode("a"), messageNode("b"), messageNode("c")];
    const edges = [edge("e1", "a", "b"), edge("e2", "b", "c"), edge("e3", "c", "b", "opened")];
    expect(problems(round, edges)).toEqual([]);
    expect(problems(round, [...edges, edge("e4", "b", "b", "clicked")])).toEqual([]);
  });

  test("that leads back to its entry begins at the first node of the list, and reaches all from there", () => {
    const edges = [edge("e1", "a", "b"), edge("e2", "b", "a"), edge("e3", "b", "c")];
    const [a, b, c] = [messageNode("a"), messageNode("b"), messageNode("c")];
    const back = edge("e4", "c", "a");
    expect(problems([a, b, c], [...edges, back])).toEqual([]);
    const first = "where it begins: edges lead to every node, and that is the first";
    expect(problems([c, a, b], edges)).toEqual([
      `nodes.1: node "a" can't be reached from "c", ${first}`,
      `nodes.2: node "b" can't be reached from "c", ${first}`,
    ]);
    expect(problems([a, c], [edge("e1", "a", "a"), edge("e2", "c", "c")])).toEqual([
      'nodes: several nodes have no incoming edge, and only the entry may be without: "a", "c"',
    ]);
    const apart = [edge("e5", "a", "b"), edge("e6", "b", "a"), edge("e7", "c", "d"), edge("e8", "d", "c")];
    expect(problems([a, b, c, messageNode("d")], apart)).toEqual([
      `nodes.2: node "c" can't be reached from "a", ${first}`,
      `nodes.3: node "d" can't be reached from "a", ${first}`,
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
    const twice = (within: string) => edge(within, "hello", "end", "notOpened", null, { within });
    expect(problems([HELLO, PAUSE, END], [...LINE, twice("P1D"), twice("P2D")])).toEqual([]);
  });
});

describe("a campaign's settings", () => {
  const found = (settings: Partial<Campaign>) => problems([HELLO], [], settings);

  test("are right as the API fills them in, and within a year", () => {
    const quietHours = { from: "21:00", to: "08:00" };
    expect(found({ timeZone: "Europe/Paris", quietHours, reenrollAfter: "PT0S" })).toEqual([]);
  });

  test.each(["Paris", "+01:00", "", "Europe/Atlantis", "x".repeat(64)])(
    "have no time zone %j",
    (timeZone) => {
      expect(found({ timeZone })).toEqual([
        `timeZone: the campaign's time zone must be a time zone of the IANA database, such as Europe/Paris, not "${timeZone}"`,
      ]);
    },
  );

  test("name a duration and hours that are some", () => {
    expect(found({ reenrollAfter: "1 month", quietHours: { from: "08:00", to: "08:00" } })).toEqual([
      "reenrollAfter: the time after which a contact may enroll again must be an ISO 8601 duration such as P2D, PT30M, P1W or P1DT12H",
      "quietHours: the quiet hours must not end when they begin; null is for none",
    ]);
    expect(found({ reenrollAfter: "P2Y" })).toHaveLength(1);
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
    expect(problems([blank], [], { name: "" })).toEqual([
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
      expect(problems([node], [], { name: line })).toEqual([
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
