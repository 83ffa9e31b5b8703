import { z } from "zod";
import { type Api, readAll } from "./api.ts";
import { numberOf } from "./people.ts";
import type { Telegram } from "./telegram.ts";

const contact = z.object({ id: z.string(), email: z.string().nullable() });
const links = z.object({ items: z.tuple([z.object({ url: z.string() })]) });

/**
 * Has those people start the bot who are to have a chat, each by the link that EDGR makes for one contact, unless
 * they have done it before an interruption.
 * @returns how many have started it in all
 */
export async function startInTelegram(api: Api, telegram: Telegram, contacts: number): Promise<number> {
  const { all, missing } = telegram.starters(contacts);
  if (missing.length === 0) return all.length;
  const known = z.array(contact).parse(await readAll(api, "/contacts?tag=demo"));
  const ids = new Map(known.map(({ id, email }) => [numberOf(email ?? ""), id]));
  const payloads = new Map<number, string>();
  for (const number of missing) {
    const { items } = links.parse(await api("GET", `/contacts/${ids.get(number)}/telegram-link`));
    payloads.set(number, new URL(items[0].url).searchParams.get("start") ?? "");
  }
  await telegram.start(payloads);
  return all.length;
}
