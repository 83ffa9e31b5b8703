import { z } from "zod";

const STATEMENT_ID = "EdgrLetsSesPublish";

const oneOrMore = z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat());

const statement = z.object({
  Effect: z.literal("Allow"),
  Principal: z.union([z.literal("*"), z.object({ Service: oneOrMore })]),
  Action: oneOrMore,
  Resource: oneOrMore,
  Condition: z.record(z.string(), z.record(z.string(), oneOrMore)).default({}),
});

const policy = z.looseObject({ Statement: z.union([z.array(z.unknown()), z.unknown()]).optional() });

export type Publishing = { topicArn: string; accountId: string };

/**
 * What lets SES publish to a topic. Bound to the account alone, so that the same topic can take identity feedback and
 * received mail besides the events of configuration sets.
 */
export function publishStatement({ topicArn, accountId }: Publishing) {
  return {
    Sid: STATEMENT_ID,
    Effect: "Allow",
    Principal: { Service: "ses.amazonaws.com" },
    Action: "SNS:Publish",
    Resource: topicArn,
    Condition: { StringEquals: { "AWS:SourceAccount": accountId } },
  };
}

/** Whether a topic's policy lets SES publish, as far as it can be told: a condition we don't know is not met. */
export function allowsPublishing(text: string | undefined, publishing: Publishing): boolean {
  return statementsOf(text).some((each) => {
    const { success, data } = statement.safeParse(each);
    if (!success || data.Principal === "*") return false;
    const publishes = data.Action.some((action) => /^sns:(\*|publish)$/i.test(action));
    const isForSes = data.Principal.Service.includes("ses.amazonaws.com");
    const isForTopic = data.Resource.includes(publishing.topicArn) || data.Resource.includes("*");
    return publishes && isForSes && isForTopic && isMet(data.Condition, publishing.accountId);
  });
}

function isMet(condition: Record<string, Record<string, string[]>>, accountId: string): boolean {
  return Object.entries(condition).every(
    ([operator, keys]) =>
      /^String(Equals|Like)$/.test(operator) &&
      Object.entries(keys).every(
        ([key, values]) => /^aws:sourceaccount$/i.test(key) && values.includes(accountId),
      ),
  );
}

/** The policy with what it lacks: everything else in it stays, in its order. */
export function withPublishing(text: string | undefined, publishing: Publishing): string {
  const others = statementsOf(text).filter((each) => {
    const named = z.object({ Sid: z.literal(STATEMENT_ID) }).safeParse(each);
    return !named.success;
  });
  const whole = parsePolicy(text) ?? { Version: "2012-10-17" };
  return JSON.stringify({ ...whole, Statement: [...others, publishStatement(publishing)] });
}

function statementsOf(text: string | undefined): unknown[] {
  const statements = parsePolicy(text)?.Statement;
  return statements === undefined ? [] : [statements].flat();
}

function parsePolicy(text: string | undefined): z.infer<typeof policy> | null {
  try {
    const { success, data } = policy.safeParse(JSON.parse(text ?? "null"));
    return success ? data : null;
  } catch {
    return null;
  }
}
