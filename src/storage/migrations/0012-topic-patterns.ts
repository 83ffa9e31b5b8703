import { type Kysely, sql } from "kysely";

/** Credentials that allow the topics of an AWS account by their names: a topic that nobody named looks for them. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create index credential_topic_pattern on credential ((settings->'ses'->>'accountId'))
    where settings->'ses'->>'topicPattern' is not null`.execute(db);
}
