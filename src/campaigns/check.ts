import { holdSmtpCredentials } from "../credentials/queries.ts";
import type { FieldProblem } from "../errors.ts";
import { compileTemplate } from "../messages/template.ts";
import type { Db } from "../storage/pool.ts";
import type { Campaign, MessageNode } from "./schema.ts";
import { validateCampaign } from "./validate.ts";

type NumberedMessage = { node: MessageNode; field: string };

/**
 * Everything that keeps a campaign from being saved or activated: its graph, its templates, credentials that the
 * customer does not have. In a transaction, the credentials stay until it ends.
 */
export async function findProblems(db: Db, customerId: string, campaign: Campaign): Promise<FieldProblem[]> {
  const messages = campaign.nodes.flatMap((node, index) =>
    node.type === "message" ? [{ node, field: `nodes.${index}` }] : [],
  );
  return [
    ...validateCampaign(campaign),
    ...messages.flatMap(templateProblems),
    ...(await credentialProblems(db, customerId, messages)),
  ];
}

function templateProblems({ node, field }: NumberedMessage): FieldProblem[] {
  const templates = [
    { name: "from.name", source: node.from?.name ?? null, format: "text" },
    { name: "subject", source: node.subject, format: "text" },
    { name: "html", source: node.html, format: "html" },
    { name: "text", source: node.text, format: "text" },
  ] as const;
  return templates.flatMap(({ name, source, format }) => {
    const compiled = source === null ? null : compileTemplate(source, format);
    if (compiled === null || compiled.ok) return [];
    return [{ field: `${field}.${name}`, reason: `the ${name} of node "${node.id}": ${compiled.reason}` }];
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
