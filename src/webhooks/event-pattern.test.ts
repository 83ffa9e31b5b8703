import { describe, expect, test } from "bun:test";
import { CATALOGUE_TYPES } from "./catalogue-types.ts";
import { patternProblem, toLikePattern, typesOf } from "./event-pattern.ts";

describe("a pattern", () => {
  test.each([
    ["*", [...CATALOGUE_TYPES]],
    ["email_*", ["email_opened", "email_clicked"]],
    ["unsubscribed", ["unsubscribed"]],
    ["*_failed", ["message_failed", "run_failed"]],
    ["*block*", ["contact_blocked", "contact_unblocked"]],
  ])("%s stands for %p", (pattern, types) => {
    expect<readonly string[]>(typesOf(pattern)).toEqual(types);
    expect(patternProblem(pattern)).toBeNull();
  });

  test.each([
    ["email_open", "email_opened"],
    ["email_openned", "email_opened"],
    ["clicked", "email_clicked"],
    ["message_bounce", "message_bounced"],
    ["unsubscribe", "unsubscribed"],
    ["emails_*", "email_opened"],
  ])("%s stands for nothing and is refused, naming %s", (pattern, nearest) => {
    expect(patternProblem(pattern)).toContain(`the nearest is ${nearest} `);
  });

  test.each(["", "Email_opened", "email opened", "email.opened", "%", "a".repeat(65), "email_opened\n"])(
    "%p has no form of one",
    (pattern) => {
      expect(patternProblem(pattern)).toContain("must be an event type such as");
    },
  );

  test.each(["run_completed", "timer_elapsed", "run_c*"])("%s is EDGR's own and told nobody", (pattern) => {
    expect(patternProblem(pattern)).toContain("is no event type");
  });

  test("takes the underscore for itself in SQL, where it would stand for any letter", () => {
    expect(toLikePattern("email_*")).toBe("email\\_%");
  });

  test("of nothing but stars is matched in no time", () => {
    expect(typesOf(`${"*".repeat(63)}z`)).toEqual([]);
    expect(typesOf("*".repeat(64))).toEqual([...CATALOGUE_TYPES]);
    expect(typesOf(`${"*a".repeat(31)}b`)).toEqual([]);
  });
});
