import { nodesRead } from "../contacts/filter.ts";
import type { FieldProblem } from "../errors.ts";
import { isTrackableUrl } from "../tracking/links.ts";
import { durationProblem, untilProblem } from "./duration.ts";
import { isStorable, lineProblem, problem, repeated, shortened, textProblem } from "./problem.ts";
import type {
  ConditionNode,
  EmailMessageNode,
  Node,
  SplitNode,
  UpdateContactNode,
  WaitNode,
  WebhookNode,
} from "./schema.ts";
import { telegramProblems } from "./telegram-problems.ts";

/** What EDGR itself says of a run: a webhook can't say it. */
const OWN_OUTPUTS = new Set(
  [
    ["sent", "sentAt", "failed", "reason", "uncertain", "suppressed", "delivered", "deliveredAt"],
    ["bounced", "bouncedAt", "bounceType", "complained", "complainedAt", "complaintType"],
    ["rejected", "rejectedAt", "delayed", "replied", "repliedAt"],
    ["opened", "openedAt", "clicked", "clickedAt", "clickedUrl", "unsubscribed", "unsubscribedAt"],
    ["result", "variant", "status"],
  ].flat(),
);

// RFC 9110 section 5.6.2; those that say how a message is framed or where it goes are the client's business.
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/;
const HEADER_VALUE = /^[\x20-\x7e]*$/;
const CLIENTS_HEADERS =
  /^(host|content-length|transfer-encoding|connection|keep-alive|upgrade|te|trailer|expect|proxy-.*)$/i;

/** What is wrong with a node by itself, and with what it says of other nodes. */
export function nodeProblems(node: Node, field: string, nodes: ReadonlyMap<string, Node>): FieldProblem[] {
  switch (node.type) {
    case "message":
      return node.channel === "email" ? emailProblems(node, field) : telegramProblems(node, field);
    case "wait":
      return waitProblems(node, field);
    case "condition":
      return conditionProblems(node, field, nodes);
    case "split":
      return splitProblems(node, field);
    case "update-contact":
      return updateProblems(node, field, nodes);
    case "webhook":
      return webhookProblems(node, field);
    case "exit":
      return [];
  }
}

function emailProblems(node: EmailMessageNode, field: string): FieldProblem[] {
  const subject = `node "${node.id}"`;
  const senderName = node.from?.name ?? null;
  return [
    ...problem(`${field}.subject`, `the subject of ${subject}`, lineProblem(node.subject)),
    ...problem(`${field}.html`, `the html of ${subject}`, textProblem(node.html)),
    ...problem(`${field}.text`, `the text of ${subject}`, node.text === null ? null : textProblem(node.text)),
    ...problem(
      `${field}.from.name`,
      `the sender's name of ${subject}`,
      senderName === null ? null : lineProblem(senderName),
    ),
  ];
}

function waitProblems({ id, duration, until }: WaitNode, field: string): FieldProblem[] {
  const durations = duration === undefined ? null : durationProblem(duration);
  const moments = until === undefined ? null : untilProblem(until);
  return [
    ...problem(`${field}.duration`, `the duration of node "${id}"`, durations),
    ...problem(`${field}.until`, `the moment that node "${id}" waits for`, moments),
  ];
}

function conditionProblems(
  node: ConditionNode,
  field: string,
  nodes: ReadonlyMap<string, Node>,
): FieldProblem[] {
  return nodesRead(node.if).flatMap((read) =>
    problem(`${field}.if`, `the condition of node "${node.id}"`, missingOutput(read, nodes)),
  );
}

function missingOutput(id: string, nodes: ReadonlyMap<string, Node>): string | null {
  return nodes.has(id) ? null : `asks for an output of node "${id}", which does not exist`;
}

function splitProblems({ id: nodeId, variants }: SplitNode, field: string): FieldProblem[] {
  return repeated(
    variants,
    ({ id }) => id,
    ({ id }, index, first) =>
      problem(
        `${field}.variants.${index}.id`,
        `variant "${id}" of node "${nodeId}"`,
        `has the id of variant ${first}; ids must be unique`,
      ),
  );
}

function updateProblems(
  { id, set, unset, addTags, removeTags }: UpdateContactNode,
  field: string,
  nodes: ReadonlyMap<string, Node>,
): FieldProblem[] {
  const subject = `node "${id}"`;
  const unsets = new Set(unset);
  const removes = new Set(removeTags);
  return [
    ...Object.entries(set).flatMap(([name, value]) => [
      ...problem(
        `${field}.set.${name}`,
        `the attribute "${name}" of ${subject}`,
        typeof value === "object" ? missingOutput(value.node, nodes) : null,
      ),
      ...problem(
        `${field}.set.${name}`,
        `the attribute "${name}" of ${subject}`,
        typeof value !== "string" || isStorable(value)
          ? null
          : "must not contain NUL or halves of surrogate pairs",
      ),
      ...problem(`${field}.unset`, subject, unsets.has(name) ? `both sets and unsets "${name}"` : null),
    ]),
    ...addTags.flatMap((tag) =>
      problem(
        `${field}.removeTags`,
        subject,
        removes.has(tag) ? `both adds and removes the tag "${tag}"` : null,
      ),
    ),
  ];
}

function webhookProblems(node: WebhookNode, field: string): FieldProblem[] {
  const subject = `node "${node.id}"`;
  const isAddress = isTrackableUrl(node.url) && isStorable(node.url);
  const ownNames = Object.keys(node.output).filter((name) => OWN_OUTPUTS.has(name));
  return [
    ...problem(
      `${field}.url`,
      `the url of ${subject}`,
      isAddress ? null : "must be an http or https address without user name",
    ),
    ...problem(`${field}.body`, `the body of ${subject}`, bodyProblem(node)),
    ...headerProblems(node, field),
    ...ownNames.flatMap((name) =>
      problem(
        `${field}.output.${name}`,
        `the output "${name}" of ${subject}`,
        "has a name that EDGR uses itself",
      ),
    ),
  ];
}

function bodyProblem({ method, body }: WebhookNode): string | null {
  if (body === null) return null;
  return method === "GET" ? "must be null: a GET has none" : textProblem(body);
}

function headerProblems({ id, headers }: WebhookNode, field: string): FieldProblem[] {
  const entries = Object.entries(headers);
  const subjectOf = (name: string) => `the header ${JSON.stringify(shortened(name))} of node "${id}"`;
  return [
    ...entries.flatMap(([name, value]) =>
      problem(`${field}.headers`, subjectOf(name), headerProblem(name, value)),
    ),
    ...repeated(
      entries,
      ([name]) => name.toLowerCase(),
      ([name]) => problem(`${field}.headers`, subjectOf(name), "is there twice"),
    ),
  ];
}

function headerProblem(name: string, value: string): string | null {
  if (!HEADER_NAME.test(name)) return "has a name that no header can have";
  if (CLIENTS_HEADERS.test(name)) return "is set by EDGR itself";
  return HEADER_VALUE.test(value) && value === value.trim()
    ? null
    : "must have printable ASCII characters as its value, without spaces around it";
}
