import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { type CurlRequest, curlCommand } from "./curl.ts";

const REQUEST: CurlRequest = {
  url: "https://hooks.example.com/a?b=c&d=[1]",
  headers: { "Content-Type": "application/json", "webhook-id": "evt_1" },
  secretHeaders: [],
  body: '{"a":1}',
};

/** What curl is given when a shell runs the command: its arguments, and its standard input. */
function run(command: string, variables: Record<string, string> = {}): { args: string[]; stdin: string } {
  // Each argument ends with a NUL, which none can contain; what comes in follows.
  const script = `curl() { printf '%s\\0' "$@"; case "$*" in *--data-binary*) cat;; esac; }\n${command}`;
  const { stdout, stderr, status } = spawnSync("sh", ["-s"], {
    input: script,
    env: variables,
    maxBuffer: 10_000_000,
  });
  if (status !== 0) throw new Error(stderr.toString());
  const parts = stdout.toString().split("\0");
  return { args: parts.slice(0, -1), stdin: parts.at(-1) ?? "" };
}

test("curl gets the address, the headers and the body as they were", () => {
  expect(run(curlCommand(REQUEST)).args).toEqual([
    ...["--globoff", "--request", "POST", "--url", "https://hooks.example.com/a?b=c&d=[1]"],
    ...["--header", "Content-Type: application/json", "--header", "webhook-id: evt_1"],
    ...["--data-raw", '{"a":1}'],
  ]);
});

test("no text gets out of its quotes, whatever shell syntax it has", () => {
  const shellish = fc.string({
    unit: fc.oneof(
      fc.constantFrom("'", '"', "\\", "$", "`", "(", ")", ";", "&", "|", "\n", "!", "*", "#", "~", "\r", "—"),
      fc.string({ minLength: 1, maxLength: 1, unit: "binary" }).filter((text) => text !== "\0"),
    ),
  });
  const visible = fc.stringMatching(/^[ -~]*$/);
  const property = fc.property(shellish, shellish, visible, (body, url, value) => {
    const { args } = run(curlCommand({ url, headers: { "X-A": value }, secretHeaders: [], body }));
    expect(args.slice(3)).toEqual(["--url", url, "--header", `X-A: ${value}`, "--data-raw", body]);
  });
  fc.assert(property, { numRuns: 60 });
});

test("a body longer than a system takes as an argument comes in by the shell", () => {
  const body = JSON.stringify({ text: "it's ".repeat(60_000) });
  const { args, stdin } = run(curlCommand({ ...REQUEST, body }));
  expect([args.slice(-2), stdin === body]).toEqual([["--data-binary", "@-"], true]);
});

test("secrets come from variables, by the name of the header", () => {
  const headers = { Authorization: "Bearer s3cret", "X-Other-Key": "•••", "X-Open": "yes" };
  const command = curlCommand({ ...REQUEST, url: null, headers, secretHeaders: ["authorization"] });
  expect(command).not.toContain("s3cret");
  const variables = {
    WEBHOOK_URL: "https://h.example.com/?k=1 2",
    HEADER_AUTHORIZATION: "Bearer $x",
    HEADER_X_OTHER_KEY: "k",
  };
  const { args } = run(command, variables);
  expect(args.slice(3, -2)).toEqual([
    ...["--url", "https://h.example.com/?k=1 2", "--header", "Authorization: Bearer $x"],
    ...["--header", "X-Other-Key: k", "--header", "X-Open: yes"],
  ]);
});

test("what curl says of a request itself is left to it", () => {
  const headers = { Host: "elsewhere.example.com", "content-length": "7", "X-A": "b" };
  const { args } = run(curlCommand({ ...REQUEST, headers }));
  expect(args.filter((argument) => argument.includes(": "))).toEqual(["X-A: b"]);
});
