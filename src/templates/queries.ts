import { sql } from "kysely";
import type { Page } from "../http/pagination.ts";
import type { Db } from "../storage/pool.ts";
import type { Library, Source, TemplateFormat, TemplateKind } from "./expand.ts";

export type StoredTemplate = {
  id: string;
  name: string;
  kind: TemplateKind;
  format: TemplateFormat;
  source: string;
  createdAt: Date;
  updatedAt: Date;
};

/** `uses`: the names of the templates that `source` names. */
export type TemplateFields = Source & { id: string; uses: readonly string[] };

const columns = sql`id, name, kind, format, source, created_at as "createdAt", updated_at as "updatedAt"`;

/** @returns null when the customer has a template of this name */
export async function insertTemplate(
  db: Db,
  customerId: string,
  template: TemplateFields,
): Promise<StoredTemplate | null> {
  const { rows } = await sql<StoredTemplate>`
    insert into template (customer_id, id, name, kind, format, source, uses)
    values (${customerId}, ${template.id}, ${template.name}, ${template.kind}, ${template.format},
      ${template.source}, ${template.uses}::text[])
    on conflict (customer_id, name) do nothing
    returning ${columns}`.execute(db);
  return rows[0] ?? null;
}

export async function findTemplate(db: Db, customerId: string, id: string): Promise<StoredTemplate | null> {
  const { rows } = await sql<StoredTemplate>`
    select ${columns} from template where customer_id = ${customerId} and id = ${id}`.execute(db);
  return rows[0] ?? null;
}

/** The template with its row locked; whoever names it in a campaign is waited for, and waits. */
export async function lockTemplate(db: Db, customerId: string, id: string): Promise<StoredTemplate | null> {
  const { rows } = await sql<StoredTemplate>`
    select ${columns} from template where customer_id = ${customerId} and id = ${id} for update`.execute(db);
  return rows[0] ?? null;
}

/** @returns null when another template has the name */
export async function saveTemplate(
  db: Db,
  customerId: string,
  template: TemplateFields,
): Promise<StoredTemplate | null> {
  const { rows } = await sql<StoredTemplate>`
    update template set name = ${template.name}, source = ${template.source}, uses = ${template.uses}::text[],
      updated_at = now()
    where customer_id = ${customerId} and id = ${template.id} and not exists (
      select from template where customer_id = ${customerId} and name = ${template.name} and id <> ${template.id})
    returning ${columns}`.execute(db);
  return rows[0] ?? null;
}

export async function deleteTemplate(db: Db, customerId: string, id: string): Promise<void> {
  await sql`delete from template where customer_id = ${customerId} and id = ${id}`.execute(db);
}

/** Newest first, one more than the page holds. */
export async function selectTemplates(
  db: Db,
  customerId: string,
  filter: { kind: TemplateKind | null; name: string | null },
  page: Page,
): Promise<StoredTemplate[]> {
  const { rows } = await sql<StoredTemplate>`
    select ${columns} from template
    where customer_id = ${customerId}
      and (${filter.kind}::text is null or kind = ${filter.kind})
      and (${filter.name}::text is null or name = ${filter.name})
      and (${page.cursor}::uuid is null or id < ${page.cursor}::uuid)
    order by id desc limit ${page.limit + 1}`.execute(db);
  return rows;
}

/** The templates of these names and all that these use, and so on. */
export async function findLibrary(db: Db, customerId: string, names: readonly string[]): Promise<Library> {
  if (names.length === 0) return new Map();
  const { rows } = await libraryOf(customerId, names).execute(db);
  return new Map(rows.map((row) => [row.name, row]));
}

/** As `findLibrary`; none of them is renamed or deleted before the transaction ends. */
export async function holdLibrary(db: Db, customerId: string, names: readonly string[]): Promise<Library> {
  if (names.length === 0) return new Map();
  const { rows } = await sql<Source>`${libraryOf(customerId, names)} for key share of t`.execute(db);
  return new Map(rows.map((row) => [row.name, row]));
}

function libraryOf(customerId: string, names: readonly string[]) {
  return sql<Source>`
    with recursive used (name) as (
      select name from unnest(${names}::text[]) as n(name)
      union
      select n.name from used
      join template u on u.customer_id = ${customerId} and u.name = used.name
      cross join unnest(u.uses) as n(name)
    )
    select t.name, t.kind, t.format, t.source from template t
    where t.customer_id = ${customerId} and t.name in (select name from used)`;
}

/** The names of the templates that name this one. */
export async function findTemplatesUsing(db: Db, customerId: string, name: string): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select name from template
    where customer_id = ${customerId} and uses @> array[${name}::text] and name <> ${name}
    order by name`.execute(db);
  return rows.map((row) => row.name);
}

/** The HTML sources, as they are edited, of campaigns that have this name somewhere in them. */
export async function findSourcesMentioning(
  db: Db,
  customerId: string,
  name: string,
): Promise<{ campaignId: string; campaignName: string; html: string }[]> {
  const { rows } = await sql<{ campaignId: string; campaignName: string; html: string }>`
    select c.id as "campaignId", c.name as "campaignName", n.node->>'html' as html
    from campaign c cross join jsonb_array_elements(c.nodes) as n(node)
    where c.customer_id = ${customerId} and n.node->>'type' = 'message'
      and strpos(n.node->>'html', ${name}) > 0
    order by c.id`.execute(db);
  return rows;
}
