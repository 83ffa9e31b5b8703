import { sql } from "kysely";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import type { Filter } from "./filter.ts";
import { filterSql } from "./filter-queries.ts";
import type { Contact } from "./queries.ts";

/** The contacts that fit, newest first, one more than the page holds. */
export async function selectFitting(
  db: Db,
  customerId: string,
  asked: { filter: Filter; now: Date },
  page: Page,
): Promise<Contact[]> {
  const { rows } = await sql<Contact>`
    select c.id, c.email, c.telegram_chat_id as "telegramChatId", c.time_zone as "timeZone", c.attributes, c.tags,
      c.created_at as "createdAt", c.updated_at as "updatedAt"
    from contact c
    where c.customer_id = ${customerId} and ${filterSql(asked.filter, asked)}
      and (${page.cursor}::uuid is null or c.id < ${page.cursor}::uuid)
    order by c.id desc limit ${page.limit + 1}`.execute(db);
  return rows;
}

/**
 * How many contacts fit.
 * @param untilId the last one to look at; null looks at all
 */
export async function countFitting(
  db: Db,
  customerId: string,
  asked: { filter: Filter; now: Date },
  untilId: string | null = null,
): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from contact c
    where c.customer_id = ${customerId} and (${untilId}::uuid is null or c.id <= ${untilId}::uuid)
      and ${filterSql(asked.filter, asked)}`.execute(db);
  return rows[0]?.count ?? 0;
}

/** The ids of the next contacts that fit, in their order. */
export async function selectFittingIds(
  db: Db,
  customerId: string,
  asked: { filter: Filter; now: Date },
  range: { afterId: string; untilId: string; limit: number },
): Promise<string[]> {
  const { rows } = await sql<{ ids: string[] }>`
    select array(
      select c.id from contact c
      where c.customer_id = ${customerId} and c.id > ${range.afterId} and c.id <= ${range.untilId}
        and ${filterSql(asked.filter, asked)}
      order by c.id limit ${range.limit}
    ) as ids`.execute(db);
  return rows[0]?.ids ?? [];
}

/** The contact that was made last; null when there is none. */
export async function findLastContactId(db: Db, customerId: string): Promise<string | null> {
  const { rows } = await sql<{ id: string }>`
    select id from contact where customer_id = ${customerId} order by id desc limit 1`.execute(db);
  return rows[0]?.id ?? null;
}
