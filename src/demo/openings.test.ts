import { expect, test } from "bun:test";
import { demoAddress, NUDGE_AFTER_MS } from "./campaign.ts";
import type { Done, Entry, Journal, Mail } from "./journal.ts";
import { openingsOf } from "./openings.ts";

const SENT_AT = Date.parse("2026-11-25T10:00:00.000Z");

const after = (ms: number) => new Date(SENT_AT + ms).toISOString();

function welcome(number: number): Mail {
  return {
    kind: "mail",
    to: demoAddress(number),
    node: "welcome",
    html: "",
    unsubscribe: "",
    at: after(0),
    sesId: "",
    messageIdHeader: "",
    tags: "",
    replyAddress: "",
  };
}

function opened(number: number, afterMs: number, agent: Done["agent"] = "human"): Done {
  const to = demoAddress(number);
  const at = after(afterMs);
  return { kind: "done", id: "", to, node: "welcome", action: "open", agent, status: 200, at };
}

function openings(...entries: Entry[]): string[] {
  const journal: Journal = { entries, add() {}, close() {} };
  return openingsOf(journal, 20);
}

test("who opens before the time is up has opened in time, later perhaps, by a machine never", () => {
  const said = openings(
    ...[0, 4, 5, 6].map(welcome),
    opened(0, 1, "scanner"),
    opened(4, NUDGE_AFTER_MS),
    opened(5, NUDGE_AFTER_MS + 1),
  );
  expect([0, 4, 5, 6].map((number) => said[number])).toEqual(["never", "in time", "perhaps", "perhaps"]);
});

test("who never got it never opens it", () => {
  expect(openings()).toEqual(Array.from({ length: 20 }, () => "never"));
});
