import { holdCredentials } from "../credentials/queries.ts";
import type { FieldProblem } from "../errors.ts";
import { compileTemplate } from "../messages/template.ts";
import type { Db } from "../storage/pool.ts";
import { needsPreparing, prepareHtml, templateNames } from "../templates/prepare.ts";
import { holdLibrary } from "../templates/queries.ts";
import { holdTopic } from "./campaign-queries.ts";
import { type Body, bodyOf } from "./message-body.ts";
import type { Campaign, MessageNode, Node, TelegramMessageNode } from "./schema.ts";
import { markupProblem } from "./telegram-problems.ts";
import { validateCampaign } from "./validate.ts";

type NumberedMessage = { node: MessageNode; field: string };

const CREDENTIAL_TYPES = { email: "smtp", telegram: "telegram" } as const;

/**
 * Everything that keeps a campaign from being saved or activated: its graph, its templates, credentials and a topic
 * that the customer does not have. In a transaction, these stay until it ends.
 */
export async function findProblems(db: Db, customerId: string, campaign: Campaign): Promise<FieldProblem[]> {
  const messages = campaign.nodes.flatMap((node, index) =>
    node.type === "message" ? [{ node, field: `nodes.${index}` }] : [],
  );
  return [
    ...validateCampaign(campaign),
    ...campaign.nodes.flatMap((node, index) => templateProblems(node, `nodes.${index}`)),
    ...(await bodyProblems(db, customerId, messages)),
    ...(await credentialProblems(db, customerId, messages)),
    ...(await topicProblems(db, customerId, campaign.topicId)),
  ];
}

function templateProblems(node: Node, field: string): FieldProblem[] {
  return templatesOf(node).flatMap(({ name, source, format }) => {
    const compiled = source === null ? null : compileTemplate(source, format);
    if (compiled === null || compiled.ok) return [];
    return [{ field: `${field}.${name}`, reason: `the ${name} of node "${node.id}": ${compiled.reason}` }];
  });
}

function templatesOf(node: Node): { name: string; source: string | null; format: "text" }[] {
  if (node.type === "webhook") return [{ name: "body", source: node.body, format: "text" }];
  if (node.type !== "message") return [];
  if (node.channel === "telegram") return telegramTemplates(node);
  return [
    { name: "from.name", source: node.from?.name ?? null, format: "text" },
    { name: "subject", source: node.subject, format: "text" },
    { name: "text", source: node.text, format: "text" },
  ];
}

function telegramTemplates({ photo, buttons }: TelegramMessageNode) {
  const format = "text" as const;
  return [
    { name: "photo", source: photo, format },
    ...buttons.flatMap((row, rowIndex) =>
      row.flatMap(({ text, url }, index) => [
        { name: `buttons.${rowIndex}.${index}.text`, source: text, format },
        { name: `buttons.${rowIndex}.${index}.url`, source: url ?? null, format },
      ]),
    ),
  ];
}

/** Of the part that layouts and partials go into. */
async function bodyProblems(
  db: Db,
  customerId: string,
  messages: readonly NumberedMessage[],
): Promise<FieldProblem[]> {
  const written = messages.map(({ node, field }) => ({ node, field, body: bodyOf(node) }));
  const bodies = written.map(({ body }) => body);
  const names = bodies.flatMap(({ html }) => templateNames(html));
  const library = await holdLibrary(db, customerId, names);
  const prepared = await prepareHtml(bodies, library);
  return written.flatMap(({ node, field, body }, index) => {
    const result = prepared[index];
    if (result === undefined) return [];
    const reason = result.ok ? preparedProblem(node, body, result.html) : `: ${result.reason}`;
    if (reason === null) return [];
    return [{ field: `${field}.${body.field}`, reason: `the ${body.field} of node "${node.id}"${reason}` }];
  });
}

/** What templates bring into a text of Telegram; what is written itself, `validateCampaign` has looked at. */
function preparedProblem(node: MessageNode, body: Body, html: string): string | null {
  if (node.channel !== "telegram" || !needsPreparing(body)) return null;
  const reason = markupProblem(html, node.photo !== null);
  return reason === null ? null : `, with its templates, ${reason}`;
}

async function credentialProblems(
  db: Db,
  customerId: string,
  messages: readonly NumberedMessage[],
): Promise<FieldProblem[]> {
  const ids = messages.map(({ node }) => node.credentialId);
  const types = new Map((await holdCredentials(db, customerId, ids)).map(({ id, type }) => [id, type]));
  return messages.flatMap(({ node, field }) => {
    const type = types.get(node.credentialId.toLowerCase());
    const needed = CREDENTIAL_TYPES[node.channel];
    if (type === needed) return [];
    const what =
      type === undefined
        ? `that does not exist: ${node.credentialId}`
        : `of type ${type}; a message by ${node.channel} needs one of type ${needed}`;
    return [{ field: `${field}.credentialId`, reason: `node "${node.id}" has a credential ${what}` }];
  });
}

async function topicProblems(db: Db, customerId: string, topicId: string | null): Promise<FieldProblem[]> {
  if (topicId === null || (await holdTopic(db, customerId, topicId))) return [];
  return [{ field: "topicId", reason: `the campaign has a topic that does not exist: ${topicId}` }];
}

/**
 * Webhook nodes whose address EDGR will not call.
 * @param refusal why an address is not called, to follow its name; null when it may be
 */
export function webhookAddressProblems(
  campaign: Campaign,
  refusal: (url: string) => string | null,
): FieldProblem[] {
  return campaign.nodes.flatMap((node, index) => {
    const reason = node.type === "webhook" ? refusal(node.url) : null;
    if (reason === null) return [];
    return [{ field: `nodes.${index}.url`, reason: `the url of node "${node.id}" ${reason}` }];
  });
}
