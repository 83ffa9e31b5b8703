import { describe, expect, test } from "bun:test";
import { formProblem, shownUrl } from "./endpoint-url.ts";

const SLACK = "https://hooks.slack.com/services/T0000/B0000/XXsecretXX";
const DISCORD = "https://discord.com/api/webhooks/1234567890/a-secret_token";

describe("an address of an endpoint", () => {
  test.each([
    ["custom", "https://example.com/hooks?key=a"],
    ["slack", SLACK],
    ["slack", "https://hooks.slack-gov.com/services/T0000/B0000/XX"],
    ["discord", DISCORD],
    ["discord", "https://discord.com/api/v10/webhooks/1234567890/a-secret_token"],
    ["discord", "https://canary.discord.com/api/webhooks/1/a"],
  ] as const)("of %s may be %s", (type, url) => {
    expect(formProblem(type, url, false)).toBeNull();
  });

  test.each([
    ["custom", "http://example.com/hooks", "must be https"],
    ["slack", "http://hooks.slack.com/services/T0000/B0000/XX", "must be https"],
    ["slack", "https://hooks.slack.com.evil.example/services/T0000/B0000/XX", "must be of the form"],
    ["slack", "https://hooks.slack.com/workflows/T0000/A0000/1/XX", "must be of the form"],
    ["slack", "https://hooks.slack.com/services/T0000/B0000", "must be of the form"],
    ["slack", "https://hooks.slack.com:8443/services/T0000/B0000/XX", "must be of the form"],
    ["slack", DISCORD, "must be of the form https://hooks.slack.com/services/"],
    ["discord", SLACK, "must be of the form https://discord.com/api/webhooks/"],
    ["discord", "https://discord.com/api/webhooks/name/token", "must be of the form"],
    ["discord", "https://discord.com/api/webhooks/1/token/slack", "must be of the form"],
  ] as const)("of %s can't be %s", (type, url, reason) => {
    expect(formProblem(type, url, false)).toContain(reason);
  });

  test("may be of any form where the operator opened the way", () => {
    expect(formProblem("custom", "http://10.1.2.3:9000/", true)).toBeNull();
    expect(formProblem("slack", "http://127.0.0.1:9000/slack", true)).toBeNull();
  });

  test.each([
    ["slack", SLACK, "https://hooks.slack.com/services/T0000/B0000/…"],
    ["slack", `${SLACK}/`, "https://hooks.slack.com/services/T0000/B0000/…"],
    ["discord", `${DISCORD}?thread_id=1`, "https://discord.com/api/webhooks/1234567890/…"],
    ["custom", "https://example.com/hooks", "https://example.com/hooks"],
    ["custom", "https://example.com/hooks?key=a&b=c#d", "https://example.com/hooks?key=…&b=…"],
  ] as const)("of %s is shown without its secret: %s", (type, url, shown) => {
    expect(shownUrl(type, url)).toBe(shown);
  });
});
