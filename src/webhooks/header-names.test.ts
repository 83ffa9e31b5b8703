import { expect, test } from "bun:test";
import { headerProblem } from "./header-names.ts";

test.each([
  ["Authorization", "Bearer abc"],
  ["X-Api-Key", "a"],
  ["User-Agent", "Mine/1.0 (a b)"],
  ["Cookie", "a=b; c=d"],
])("%s may be added", (name, value) => {
  expect(headerProblem(name, value)).toBeNull();
});

test.each([
  ["Host", "names the server"],
  ["content-LENGTH", "always JSON from EDGR"],
  ["Content-Type", "always JSON from EDGR"],
  ["Transfer-Encoding", "belongs to the connection"],
  ["connection", "belongs to the connection"],
  ["Proxy-Authorization", "belongs to the connection"],
  ["Webhook-Signature", "kept for the signature"],
  ["svix-id", "kept for the signature"],
  ["", "is not a header's name"],
  ["X Y", "is not a header's name"],
  ["X:Y", "is not a header's name"],
  ["X-Y\r\nHost", "is not a header's name"],
  ["constructor", ""],
])("%p can't, because it %s", (name, reason) => {
  if (reason === "") return expect(headerProblem(name, "a")).toBeNull();
  expect(headerProblem(name, "a")).toContain(reason);
});

test.each(["", " a", "a ", "a\r\nX: b", "a\nb", "ü", "a\0b", "a".repeat(4_001)])(
  "a value %p is refused without being repeated",
  (value) => {
    const problem = headerProblem("X-Key", value) ?? "";
    expect(problem).toStartWith("has a value");
    if (value.length > 2) expect(problem).not.toContain(value);
  },
);
