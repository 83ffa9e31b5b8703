import { holdSmtpCredentials } from "../credentials/queries.ts";
import type { FieldProblem } from "../errors.ts";
import { compileTemplate } from "../messages/template.ts";
import type { Db } from "../storage/pool.ts";
import { prepareHtml, templateNames } from "../templates/prepare.ts";
import { holdLibrary } from "../templates/queries.ts";
import { holdTopic } from "./campaign-queries.ts";
import type { Campaign, MessageNode, Node } from "./schema.ts";
import { validateCampaign } from "./validate.ts";

type NumberedMessage = { node: MessageNode; field: string };

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
    ...(await htmlProblems(db, customerId, messages)),
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
  return [
    { name: "from.name", source: node.from?.name ?? null, format: "text" },
    { name: "subject", source: node.subject, format: "text" },
    { name: "text", source: node.text, format: "text" },
  ];
}

async function htmlProblems(
  db: Db,
  customerId: string,
  messages: readonly NumberedMessage[],
): Promise<FieldProblem[]> {
  const names = messages.flatMap(({ node }) => templateNames(node.html));
  const library = await holdLibrary(db, customerId, names);
  const prepared = await prepareHtml(
    messages.map(({ node }) => node),
    library,
  );
  return messages.flatMap(({ node, field }, index) => {
    const html = prepared[index];
    if (html === undefined || html.ok) return [];
    return [{ field: `${field}.html`, reason: `the html of node "${node.id}": ${html.reason}` }];
  });
}

async function credentialProblems(
  db: Db,
  customerId: string,
  messages: readonly NumberedMessage[],
): Promise<FieldProblem[]> {
  const ids = messages.map(({ node }) => node.credentialId);
  const there = new Set(await holdSmtpCredentials(db, customerId, ids));
  return messages.flatMap(({ node, field }) =>
    there.has(node.credentialId.toLowerCase())
      ? []
      : [
          {
            field: `${field}.credentialId`,
            reason: `node "${node.id}" has a credential that does not exist: ${node.credentialId}`,
          },
        ],
  );
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
