import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { openBot } from "../credentials/telegram-queries.ts";
import { AppError } from "../errors.ts";
import type { ApiEnv, ApiRoutes } from "../http/env.ts";
import { id } from "../http/fields.ts";
import { problems } from "../http/openapi.ts";
import { createSlots } from "../slots.ts";
import type { Db } from "../storage/pool.ts";
import { type FetchFile, MAX_FILE_BYTES } from "../telegram/files.ts";
import { mediaHeaders } from "./media.ts";
import { findMedia } from "./media-queries.ts";

/** Each may hold a whole file in memory. */
const AT_A_TIME = { slots: 4, maxWaiting: 16 };

const file = z.object({
  fileId: z.string(),
  fileName: z.string().nullable(),
  sizeBytes: z.number().nullable(),
});

const read = createRoute({
  method: "get",
  path: "/messages/{id}/media/{index}",
  operationId: "getMessageMedia",
  tags: ["Messages"],
  summary: "Download what somebody sent to a bot beside his text",
  description:
    "From Telegram, each time it is asked: EDGR keeps no files. Pictures come as what they are, everything else as a file to " +
    "save. At most 20 MiB; larger files can only be seen in Telegram.",
  request: {
    params: z.object({
      id: id(),
      index: z.coerce.number().pipe(z.int().min(0).max(100)).openapi({
        type: "integer",
        minimum: 0,
        description: "The place in the message's `media`, from 0.",
        example: 0,
      }),
    }),
  },
  responses: {
    200: {
      description: "The file",
      content: {
        "application/octet-stream": { schema: z.string().openapi({ format: "binary", example: "…" }) },
      },
    },
    ...problems("invalid", "not_found", "gone", "too_large", "unavailable"),
  },
});

export type MediaRoutesDeps = { encryptionKey: Buffer; fetchFile: FetchFile };

/** The files of messages, without the token that Telegram wants for them. */
export function mediaRoutes({ encryptionKey, fetchFile }: MediaRoutesDeps): ApiRoutes {
  const routes = new OpenAPIHono<ApiEnv>();
  const inSlot = createSlots(AT_A_TIME);

  routes.openapi(read, async (c) => {
    const { id: messageId, index } = c.req.valid("param");
    const { db, customerId } = c.var;
    const { credentialId, fileId, fileName } = await mediaOf(db, customerId, messageId, index);
    const bot = await openBot(db, encryptionKey, customerId, credentialId, { lock: false });
    if (bot === null) throw new AppError("gone", "The bot that has the file is not connected any more.");
    const fetched = await inSlot(() => fetchFile(bot.botToken, fileId));
    if (fetched === null) throw new AppError("unavailable", "Too many files are being fetched just now.");
    if (!fetched.ok) throw new AppError(fetched.failure, fetched.reason);
    const { bytes, name } = fetched;
    return c.body(new Uint8Array(bytes), 200, mediaHeaders(bytes, [fileName, name]));
  });

  return routes;
}

async function mediaOf(db: Db, customerId: string, messageId: string, index: number) {
  const stored = await findMedia(db, customerId, messageId, index);
  const parsed = file.safeParse(stored?.media);
  if (stored === null || !parsed.success)
    throw new AppError("not_found", "There is no such file in a message with this id.");
  const { fileId, fileName, sizeBytes } = parsed.data;
  if (sizeBytes !== null && sizeBytes > MAX_FILE_BYTES)
    throw new AppError("too_large", `The file has more than ${MAX_FILE_BYTES} bytes: see it in Telegram.`);
  return { credentialId: stored.credentialId, fileId, fileName };
}
