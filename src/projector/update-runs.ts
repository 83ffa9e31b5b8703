import { sql } from "kysely";
import type { Db } from "../storage/pool.ts";

/**
 * What the events say of their runs: outputs (the first opening, click and so on stays), the kinds of hit seen,
 * and the status, which leaves `running` or `waiting` once.
 */
export async function updateRuns(db: Db): Promise<void> {
  await sql`
    with news as (
      select customer_id, run_id,
        (max(case when type = 'email_opened' then 1 else 0 end)
          + max(case when type = 'email_opened' and by_person then 2 else 0 end)
          + max(case when type = 'email_clicked' then 4 else 0 end)
          + max(case when type = 'email_clicked' and by_person then 8 else 0 end))::smallint as seen,
        jsonb_strip_nulls(jsonb_build_object(
          'sent', nullif(bool_or(type = 'message_sent'), false),
          'sentAt', min(at) filter (where type = 'message_sent'),
          'failed', nullif(bool_or(type = 'message_failed'), false),
          'reason', (array_agg(data->>'reason' order by position) filter (where type = 'message_failed'))[1],
          'uncertain', nullif(bool_or(type = 'message_uncertain'), false),
          'suppressed', nullif(bool_or(type = 'contact_suppressed'), false),
          'opened', nullif(bool_or(type = 'email_opened' and counts), false),
          'openedAt', min(at) filter (where type = 'email_opened' and counts),
          'clicked', nullif(bool_or(type = 'email_clicked' and counts), false),
          'clickedAt', min(at) filter (where type = 'email_clicked' and counts),
          'clickedUrl', (array_agg(data->>'clickedUrl' order by position)
            filter (where type = 'email_clicked' and counts))[1],
          'unsubscribed', nullif(bool_or(type = 'unsubscribed'), false),
          'unsubscribedAt', min(at) filter (where type = 'unsubscribed')
        )) as output,
        case
          when bool_or(type in ('message_sent', 'message_uncertain', 'contact_suppressed', 'run_completed')) then 'completed'
          when bool_or(type = 'message_failed') then 'failed'
        end as status,
        min(at) filter (where type in ('message_sent', 'message_uncertain', 'contact_suppressed', 'run_completed',
          'message_failed')) as finished_at
      from batch
      where enrollment_id is not null
      group by customer_id, run_id
    )
    update node_run r
    set output = news.output || r.output,
      seen = r.seen | news.seen,
      status = case when r.status in ('running', 'waiting') then coalesce(news.status, r.status) else r.status end,
      finished_at = coalesce(r.finished_at, news.finished_at),
      due_at = null
    from news
    where r.customer_id = news.customer_id and r.id = news.run_id
      and (r.seen | news.seen <> r.seen or not r.output @> news.output or news.status is not null)`.execute(
    db,
  );
}
