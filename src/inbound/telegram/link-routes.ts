import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { findContact } from "../../contacts/queries.ts";
import { AppError } from "../../errors.ts";
import type { ApiEnv, ApiRoutes } from "../../http/env.ts";
import { id, idParams } from "../../http/fields.ts";
import { json, problems } from "../../http/openapi.ts";
import { listOf } from "../../http/pagination.ts";
import { selectBots } from "./queries.ts";
import { createStartLinks } from "./start-link.ts";

const link = z
  .object({
    credentialId: id(),
    botUsername: z.string().openapi({ example: "acme_news_bot" }),
    url: z.string().openapi({
      format: "uri",
      example: "https://t.me/acme_news_bot?start=AZicKn08fMOYxNwMDAc5j6bUmQJ4h9n0mXw2yVtEo1cQ",
    }),
  })
  .openapi("TelegramLink");

const list = createRoute({
  method: "get",
  path: "/contacts/{id}/telegram-link",
  operationId: "getContactTelegramLink",
  tags: ["Contacts"],
  summary: "Get the links that connect a contact's Telegram chat, one for each bot",
  description:
    "Whoever opens it and presses Start becomes this contact, if it has no chat yet and the chat is nobody else's. Where " +
    "the chat had only made a contact of its own, its conversation goes over. The link is the contact's own, like one " +
    "to unsubscribe.",
  request: { params: idParams },
  responses: { 200: json(listOf(link), "A link for each bot"), ...problems("invalid", "not_found") },
});

export function telegramLinkRoutes({ encryptionKey }: { encryptionKey: Buffer }): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();
  const links = createStartLinks(encryptionKey);

  routes.openapi(list, async (c) => {
    const { db, customerId } = c.var;
    const { id: contactId } = c.req.valid("param");
    if ((await findContact(db, customerId, contactId)) === null)
      throw new AppError("not_found", "There is no contact with this id.");
    const payload = links.payloadOf({ customerId, contactId });
    const items = (await selectBots(db, customerId)).map((bot) => ({
      ...bot,
      url: `https://t.me/${encodeURIComponent(bot.botUsername)}?start=${payload}`,
    }));
    return c.json({ items, nextCursor: null }, 200);
  });

  return routes;
}
