import type { Context } from "hono";
import type { Logger } from "../logger.ts";

/**
 * Answers with a file that is made while it is being read: the next piece when the one before it has been taken. When
 * making it fails, the connection breaks, so that nobody takes a part for the whole.
 */
export function csvResponse(
  c: Context,
  name: string,
  pieces: AsyncGenerator<string>,
  log: Pick<Logger, "error">,
): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await pieces.next();
          if (done === true) controller.close();
          else controller.enqueue(encoder.encode(value));
        } catch (error) {
          log.error({ err: error, path: c.req.path }, "a file broke off");
          controller.error(error);
        }
      },
      async cancel() {
        await pieces.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
  return c.body(body, 200, {
    "Content-Type": "text/csv; charset=utf-8",
    "Content-Disposition": `attachment; filename="${name}"`,
  });
}
