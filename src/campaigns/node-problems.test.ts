import { describe, expect, test } from "bun:test";
import { telegramNode } from "../../test/support/graphs.ts";
import { HOOK, IS_PRO, MARK, problems, SPLIT } from "../../test/support/problems.ts";
import type { Filter } from "../contacts/filter.ts";
import type { TelegramMessageNode, WebhookNode } from "./schema.ts";

describe("a step", () => {
  test("of one node is a campaign of its own", () => {
    expect([MARK, SPLIT, IS_PRO, HOOK].map((node) => problems([node], []))).toEqual([[], [], [], []]);
  });

  test("that waits for some time names a duration", () => {
    const wait = (duration: string) => problems([{ id: "pause", type: "wait", duration }], []);
    expect(wait("2 days")).toEqual([
      'nodes.0.duration: the duration of node "pause" must be an ISO 8601 duration such as P2D, PT30M, P1W or P1DT12H',
    ]);
    expect(wait("P0D")).toHaveLength(1);
    expect(wait("P400D")).toHaveLength(1);
  });

  test("that waits until a moment names one", () => {
    expect(problems([{ id: "eve", type: "wait", until: "Christmas" }], [])).toEqual([
      'nodes.0.until: the moment that node "eve" waits for must be a moment such as 2026-12-24T09:00, or with an offset 2026-12-24T09:00+01:00',
    ]);
  });

  test("that asks for an output names a node of the campaign", () => {
    const asks: Filter = {
      any: [{ not: { node: "ghost", output: "status", is: "exists" } }, { tag: "vip" }],
    };
    expect(problems([{ ...IS_PRO, if: asks }], [])).toEqual([
      'nodes.0.if: the condition of node "isPro" asks for an output of node "ghost", which does not exist',
    ]);
    const set = { score: { node: "ghost", output: "score" }, own: { node: "mark", output: "x" } };
    expect(problems([{ ...MARK, set }], [])).toEqual([
      'nodes.0.set.score: the attribute "score" of node "mark" asks for an output of node "ghost", which does not exist',
    ]);
  });

  test("that splits has no variant twice", () => {
    const variants = ["a", "b", "a"].map((id) => ({ id, weight: 1 }));
    expect(problems([{ ...SPLIT, variants }], [])).toEqual([
      'nodes.0.variants.2.id: variant "a" of node "ab" has the id of variant 0; ids must be unique',
    ]);
  });

  test("that changes a contact does not say two things of one attribute or tag", () => {
    const node = { ...MARK, set: { plan: "pro" }, unset: ["plan"], addTags: ["vip"], removeTags: ["vip"] };
    expect(problems([node], [])).toEqual([
      'nodes.0.unset: node "mark" both sets and unsets "plan"',
      'nodes.0.removeTags: node "mark" both adds and removes the tag "vip"',
    ]);
    expect(problems([{ ...MARK, set: { plan: "a\0" } }], [])).toHaveLength(1);
  });

  test.each(["ftp://example.com/", "example.com", "https://user@example.com/", "javascript:alert(1)", ""])(
    "that calls out does not call %j",
    (url) => {
      expect(problems([{ ...HOOK, url }], [])).toEqual([
        'nodes.0.url: the url of node "hook" must be an http or https address without user name',
      ]);
    },
  );

  test.each([
    [{ "X Source": "a" }, 'header "X Source" of node "hook" has a name that no header can have'],
    [{ "": "a" }, 'header "" of node "hook" has a name that no header can have'],
    [{ HOST: "a" }, 'header "HOST" of node "hook" is set by EDGR itself'],
    [{ "Content-Length": "1" }, 'header "Content-Length" of node "hook" is set by EDGR itself'],
    [
      { "X-Source": "a\r\nX: y" },
      'header "X-Source" of node "hook" must have printable ASCII characters as its value, without spaces around it',
    ],
    [{ "X-Source": "a", "x-source": "b" }, 'header "x-source" of node "hook" is there twice'],
  ])("that calls out does not send %j", (headers: WebhookNode["headers"], reason) => {
    expect(problems([{ ...HOOK, headers }], [])).toEqual([`nodes.0.headers: the ${reason}`]);
  });

  test("that calls out keeps to what a request and a run can have", () => {
    expect(problems([{ ...HOOK, method: "GET", body: "{}" }], [])).toEqual([
      'nodes.0.body: the body of node "hook" must be null: a GET has none',
    ]);
    expect(problems([{ ...HOOK, body: " " }], [])).toHaveLength(1);
    expect(problems([{ ...HOOK, output: { status: "a", score: "b" } }], [])).toEqual([
      'nodes.0.output.status: the output "status" of node "hook" has a name that EDGR uses itself',
    ]);
  });
});

describe("a Telegram message", () => {
  const of = (overrides: Partial<TelegramMessageNode>) => problems([telegramNode("nudge", overrides)], []);

  test("may have Liquid, markup, a photo and buttons", () => {
    const text =
      '{% if contact.attributes.vip %}<b>Hi</b>{% else %}<i>Hi</i>{% endif %} <a href="{{ contact.attributes.url }}">{{ contact.attributes.a | default: "<b>" }}</a>{% comment %}<hr>{% endcomment %}';
    const buttons = [[{ text: "{{ contact.attributes.a }}", url: "{{ contact.attributes.url }}" }]];
    expect(of({ text, photo: "https://example.com/{{ contact.attributes.a }}.png", buttons })).toEqual([]);
  });

  test.each([
    ["<p>Hi</p>", "has the tag <p>; Telegram knows a, b,"],
    ["Hi\n<b>{{ contact.email }}", "does not close <b>, line 2"],
    ["{% if contact.attributes.vip %}\n<hr>{% endif %}", "has the tag <hr>"],
    ["x".repeat(4097), "has 4097 characters; a message has at most 4096"],
    [" ", "must not be empty"],
    ["a\0", "must not contain NUL"],
  ])("that Telegram would not take is refused: %p", (text, reason) => {
    expect(of({ text, buttons: [] })[0]).toStartWith(`nodes.0.text: the text of node "nudge" ${reason}`);
  });

  test("has at most 1024 characters below a photo", () => {
    const photo = "https://example.com/a.png";
    expect(of({ text: `${"x".repeat(1024)}{{ contact.email }}`, photo })).toEqual([]);
    expect(of({ text: "x".repeat(1025), photo })).toEqual([
      'nodes.0.text: the text of node "nudge" has 1025 characters; below a photo there are at most 1024',
    ]);
  });

  test.each([
    [
      { photo: "file:///etc/passwd" },
      'photo: the photo of node "nudge" must be an http or https address without user name',
    ],
    [{ photo: "" }, 'photo: the photo of node "nudge" must not be empty'],
    [
      { buttons: [[{ text: "a", url: "tg://resolve" }]] },
      'buttons.0.0.url: the button 1 in row 1 of node "nudge" has a url that must be an http or https address without user name',
    ],
    [
      { buttons: [[{ text: "a", url: "javascript:{{ contact.email }}" }]] },
      'buttons.0.0.url: the button 1 in row 1 of node "nudge" has a url that must be an http or https address without user name',
    ],
    [
      {
        buttons: [
          [
            { text: "a", unsubscribe: true as const },
            { text: "x".repeat(65), unsubscribe: true as const },
          ],
        ],
      },
      'buttons.0.1.text: the button 2 in row 1 of node "nudge" must have at most 64 characters',
    ],
    [
      { buttons: [[{ text: "a\nb", unsubscribe: true as const }]] },
      'buttons.0.0.text: the button 1 in row 1 of node "nudge" must not contain line breaks or control characters',
    ],
  ])("is told which part of it can't be: %j", (overrides, problem) => {
    expect(of(overrides)).toEqual([`nodes.0.${problem}`]);
  });
});
