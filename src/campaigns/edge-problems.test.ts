import { describe, expect, test } from "bun:test";
import { edge, LINKS, messageNode, telegramNode } from "../../test/support/graphs.ts";
import {
  BUY,
  END,
  HELLO,
  HOOK,
  IS_PRO,
  LINE,
  MARK,
  PAUSE,
  problems,
  problemsOfEdge,
  SPLIT,
} from "../../test/support/problems.ts";
import type { Campaign, Edge, Node } from "./schema.ts";

describe("an edge that can never fire", () => {
  test("leaves an exit", () => {
    const nodes = [HELLO, END, PAUSE];
    expect(problems(nodes, [edge("e1", "hello", "end"), edge("e2", "end", "pause", "opened")])).toEqual([
      'edges.1.from: edge "e2" can never fire: the campaign ends at the exit "end"',
    ]);
  });

  test.each(["sent", "failed", "opened", "clicked", "replied", "unsubscribed", "true"] as const)(
    "waits for %s at a wait",
    (firesWhen) => {
      expect(problemsOfEdge(edge("e3", "pause", "end", firesWhen))).toEqual([
        'edges.2.firesWhen: edge "e3" can never fire: from the wait node "pause" an edge fires when always',
      ]);
    },
  );

  test.each([
    [MARK, "failed", "always"],
    [SPLIT, "true", "always, variant"],
    [IS_PRO, "variant", "always, true, false"],
    [HOOK, "opened", "always, sent, failed"],
    [
      HELLO,
      "true",
      "always, sent, failed, delivered, bounced, complained, opened, clicked, replied, unsubscribed, notOpened, notClicked, notReplied",
    ],
  ] as const)("waits for what a node can't do: %j", (node, firesWhen, possible) => {
    const variant = firesWhen === "variant" ? { variant: "a" } : {};
    expect(problems([node, END], [edge("e1", node.id, "end", firesWhen, null, variant)])).toEqual([
      `edges.0.firesWhen: edge "e1" can never fire: from the ${node.type} node "${node.id}" an edge fires when ${possible}`,
    ]);
  });

  test("waits for what completes the enrollment before", () => {
    const edges = [
      ...LINE,
      edge("e3", "hello", "end", "unsubscribed"),
      edge("e4", "hello", "end", "replied"),
    ];
    const found = (exitOn: Campaign["exitOn"]) => problems([HELLO, PAUSE, END], edges, { exitOn });
    expect(found([])).toEqual([]);
    expect(found(["unsubscribed", "replied"])).toEqual([
      'edges.2.firesWhen: edge "e3" can never fire: the campaign ends for a contact that has unsubscribed (exitOn)',
      'edges.3.firesWhen: edge "e4" can never fire: the campaign ends for a contact that has replied (exitOn)',
    ]);
  });

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

  test("would fire for everybody when it waits for the absence of what is not tracked", () => {
    const not = (firesWhen: "notOpened" | "notClicked" | "notReplied", hello: Node & { type: "message" }) =>
      problemsOfEdge(edge("e3", "hello", "end", firesWhen, null, { within: "P3D" }), hello);
    expect(not("notOpened", { ...HELLO, trackOpens: false })).toEqual([
      'edges.2.firesWhen: edge "e3" would fire for everybody: node "hello" does not track opens (trackOpens)',
    ]);
    expect(not("notClicked", { ...HELLO, trackClicks: false })).toEqual([
      'edges.2.firesWhen: edge "e3" would fire for everybody: node "hello" does not track clicks (trackClicks)',
    ]);
    expect(not("notClicked", messageNode("hello", { html: "<p>Hi</p>" }))).toEqual([
      'edges.2.firesWhen: edge "e3" would fire for everybody: the html of node "hello" has no link that is tracked',
    ]);
    expect(not("notReplied", { ...HELLO, trackOpens: false, trackClicks: false })).toEqual([]);
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
    const clicks = edge("e3", "hello", "end", "clicked", BUY);
    expect(problemsOfEdge(clicks, messageNode("hello", { html }))).toEqual([]);
    const mjml = messageNode("hello", { format: "mjml", html: "<mjml><mj-body></mj-body></mjml>" });
    expect(problemsOfEdge(clicks, mjml)).toEqual([]);
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

describe("an edge", () => {
  const extra = (firesWhen: Edge["firesWhen"], more: { within?: string; variant?: string }) =>
    problemsOfEdge(edge("e3", "hello", "end", firesWhen, null, more));

  test("that waits for nothing to happen says within which time, and no other does", () => {
    expect(extra("notOpened", {})).toEqual([
      'edges.2.within: edge "e3" fires when notOpened: it must say within which time, such as P3D',
    ]);
    expect(extra("notReplied", { within: "3 days" })).toEqual([
      'edges.2.within: edge "e3" has a within that must be an ISO 8601 duration such as P2D, PT30M, P1W or P1DT12H',
    ]);
    expect(extra("notClicked", { within: "PT0S" })).toHaveLength(1);
    expect(extra("opened", { within: "P3D" })).toEqual([
      'edges.2.within: edge "e3" fires when opened: only a notOpened, notClicked or notReplied edge can have a within',
    ]);
  });

  test("of a split names one of its variants, and no other does", () => {
    const from = (more: { variant?: string }) =>
      problems([SPLIT, END], [edge("e1", "ab", "end", "variant", null, more)]);
    expect(from({ variant: "b" })).toEqual([]);
    expect(from({})).toEqual(['edges.0.variant: edge "e1" must say for which variant it fires']);
    expect(from({ variant: "c" })).toEqual([
      'edges.0.variant: edge "e1" can never fire: "c" is no variant of node "ab", which has "a", "b"',
    ]);
    expect(extra("sent", { variant: "a" })).toEqual([
      'edges.2.variant: edge "e3" fires when sent: only a variant edge can have a variant',
    ]);
  });
});

describe("an edge from a Telegram message", () => {
  const found = (edgeOf: Edge, overrides = {}) => problemsOfEdge(edgeOf, telegramNode("hello", overrides));

  test.each(["sent", "failed", "delivered", "clicked", "replied", "unsubscribed"] as const)(
    "may fire when %s",
    (firesWhen) => {
      expect(found(edge("e3", "hello", "pause", firesWhen))).toEqual([]);
    },
  );

  test.each(["notClicked", "notReplied"] as const)("may fire when %s", (firesWhen) => {
    expect(found(edge("e3", "hello", "end", firesWhen, null, { within: "P1D" }))).toEqual([]);
  });

  test.each([
    ["opened", {}, "can never fire", "Telegram does not tell who opened a message"],
    [
      "notOpened",
      { within: "P1D" },
      "would fire for everybody",
      "Telegram does not tell who opened a message",
    ],
    [
      "bounced",
      {},
      "can never fire",
      "a Telegram message does not bounce; one that can't be sent has failed",
    ],
    ["complained", {}, "can never fire", "Telegram does not tell who complained"],
  ] as const)("can't wait for %s", (firesWhen, more, result, reason) => {
    expect(found(edge("e3", "hello", "end", firesWhen, null, more))).toEqual([
      `edges.2.firesWhen: edge "e3" ${result} from node "hello": ${reason}`,
    ]);
  });

  test("waits for a click on a link or a button that is there and tracked", () => {
    const clicked = (url: string | null) => edge("e3", "hello", "end", "clicked", url);
    expect(found(clicked(LINKS[0]))).toEqual([]);
    expect(found(clicked(LINKS[1]))).toEqual([]);
    expect(found(clicked(LINKS[2]))).toEqual([
      `edges.2.url: edge "e3" can never fire: ${LINKS[2]} is no link and no button of node "hello", which has ${LINKS[0]}, ${LINKS[1]}`,
    ]);
    expect(found(clicked(null), { text: "Hi", buttons: [] })).toEqual([
      'edges.2.firesWhen: edge "e3" can never fire: node "hello" has no link and no button that is tracked',
    ]);
    expect(found(clicked(null), { trackClicks: false })).toEqual([
      'edges.2.firesWhen: edge "e3" can never fire: node "hello" does not track clicks (trackClicks)',
    ]);
  });
});
