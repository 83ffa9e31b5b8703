import { z } from "@hono/zod-openapi";
import { contactFilter } from "../contacts/filter.ts";
import { contact } from "../contacts/schema.ts";
import { id, line, time } from "../http/fields.ts";

const MAX_NAME_LENGTH = 200;
const FILTER_EXAMPLE = { all: [{ tag: "confirmed" }, { event: "email_opened", within: "P30D" }] };

const fields = {
  name: line(MAX_NAME_LENGTH).openapi({ example: "Opened in the last 30 days" }),
  filter: contactFilter,
};

export const newSegment = z
  .strictObject(fields)
  .openapi("NewSegment", { example: { name: "Opened in the last 30 days", filter: FILTER_EXAMPLE } });

export const segmentChange = z
  .strictObject(fields)
  .partial()
  .openapi("SegmentChange", { example: { name: "Opened this month" } });

export const segment = z
  .object({
    id: id(),
    name: z.string().openapi({ example: "Opened in the last 30 days" }),
    filter: contactFilter,
    createdAt: time(),
    updatedAt: time(),
  })
  .openapi("Segment");

export const segmentCount = z.object({ count: z.int().openapi({ example: 1_234 }) }).openapi("SegmentCount");

export const preview = z
  .strictObject({ filter: contactFilter })
  .openapi("SegmentPreviewRequest", { example: { filter: FILTER_EXAMPLE } });

export const previewed = z
  .object({
    count: z.int().openapi({ description: "How many contacts fit.", example: 1_234 }),
    sample: z.array(contact).openapi({ description: "The newest ten of them." }),
  })
  .openapi("SegmentPreview");
