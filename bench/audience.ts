import { sql } from "kysely";
import { compileGraph } from "../src/campaigns/graph.ts";
import { insertVersion } from "../src/campaigns/queries.ts";
import { campaignInput } from "../src/campaigns/schema.ts";
import { newId } from "../src/events/id.ts";
import type { Db } from "../src/storage/pool.ts";
import { clickUrl, pixelUrl } from "../src/tracking/links.ts";
import { DEFAULT_TOKEN_LIFE_S, type Tokens, urlDigest } from "../src/tracking/token.ts";

export type Audience = {
  customerId: string;
  campaignId: string;
  runs: { id: string; messageId: string }[];
};

const DESTINATION = "https://example.com/a/landing/page?utm_source=news&utm_campaign=bench";

/** A campaign whose one message has been sent to `count` contacts, written straight into the tables. */
export async function createAudience(db: Db, count: number): Promise<Audience> {
  const customerId = newId();
  const campaignId = newId();
  const credentialId = newId();
  await sql`insert into customer (customer_id, name) values (${customerId}, ${`bench ${customerId}`})`.execute(
    db,
  );
  const graph = campaignInput.parse({
    name: "Bench",
    nodes: [
      {
        id: "hello",
        type: "message",
        channel: "email",
        credentialId,
        subject: "Hi",
        html: `<a href="${DESTINATION}">look</a>`,
      },
      { id: "pause", type: "wait", duration: "P30D" },
    ],
    edges: [{ id: "opened", from: "hello", to: "pause", firesWhen: "opened" }],
  });
  await sql`
    insert into campaign (customer_id, id, name, status, nodes, edges, version)
    values (${customerId}, ${campaignId}, 'Bench', 'active', ${JSON.stringify(graph.nodes)}::jsonb,
      ${JSON.stringify(graph.edges)}::jsonb, 1)`.execute(db);
  const { nodes, edges } = compileGraph(graph);
  await insertVersion(db, { customerId, campaignId, version: 1 }, nodes, edges);
  const { rows } = await sql<{ id: string; messageId: string }>`
    with contacts as (
      insert into contact (customer_id, id, email)
      select ${customerId}, new_id(), 'c' || n || '@example.com' from generate_series(1, ${count}::int) n
      returning id
    ), enrolled as (
      insert into enrollment (customer_id, id, campaign_id, version, contact_id)
      select ${customerId}, new_id(), ${campaignId}, 1, id from contacts
      returning id, contact_id
    ), ran as (
      insert into node_run (customer_id, id, enrollment_id, contact_id, campaign_id, version, node_id, status,
        finished_at, output)
      select ${customerId}, new_id(), id, contact_id, ${campaignId}, 1, 'hello', 'completed', now(), '{"sent": true}'
      from enrolled
      returning id, enrollment_id, contact_id
    )
    insert into message (customer_id, id, direction, channel, campaign_id, version, node_id, run_id, enrollment_id,
      contact_id, credential_id, to_address, status, sent_at)
    select ${customerId}, new_id(), 'outbound', 'email', ${campaignId}, 1, 'hello', id, enrollment_id, contact_id,
      ${credentialId}, 'c@example.com', 'sent', now()
    from ran
    returning run_id as id, id as "messageId"`.execute(db);
  await sql`analyze`.execute(db);
  return { customerId, campaignId, runs: rows };
}

/** One pixel address for each run, without the origin. */
export function pixelPaths(audience: Audience, tokens: Tokens): string[] {
  return audience.runs.map((run) => pixelUrl("", tokens.sign(claims(audience, run, null))));
}

/** One click address for each run, without the origin. */
export function clickPaths(audience: Audience, tokens: Tokens): string[] {
  const digest = urlDigest(DESTINATION);
  return audience.runs.map((run) => clickUrl("", tokens.sign(claims(audience, run, digest)), DESTINATION));
}

function claims(audience: Audience, run: { id: string; messageId: string }, digest: string | null) {
  return {
    customerId: audience.customerId,
    campaignId: audience.campaignId,
    node: "hello",
    runId: run.id,
    messageId: run.messageId,
    expiresAt: Math.floor(Date.now() / 1000) + DEFAULT_TOKEN_LIFE_S,
    urlDigest: digest,
  };
}
