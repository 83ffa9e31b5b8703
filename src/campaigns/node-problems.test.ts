import { describe, expect, test } from "bun:test";
import { HOOK, IS_PRO, MARK, problems, SPLIT } from "../../test/support/problems.ts";
import type { Filter } from "../contacts/filter.ts";
import type { WebhookNode } from "./schema.ts";

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
