import { z } from "@hono/zod-openapi";
import { MAX_TAGS, tag } from "../contacts/schema.ts";
import { id, time } from "../http/fields.ts";
import { pageQuery } from "../http/pagination.ts";
import { REASONS } from "../suppressions/reasons.ts";
import { ENCODINGS } from "./encoding.ts";
import { type Import, isForContacts, STATUSES } from "./import.ts";

const SEPARATOR_NAMES = { comma: ",", semicolon: ";", tab: "\t", pipe: "|" } as const;

export const separatorName = z.enum(["comma", "semicolon", "tab", "pipe"]);

const encoding = z.enum(ENCODINGS);

const mapping = z.record(z.string(), z.string().nullable()).openapi({
  type: "object",
  additionalProperties: { type: ["string", "null"] },
  description:
    "Column → what its cells are; null, or not there: left out. For contacts `email`, `timeZone`, `telegramChatId`, " +
    "`tags`, `attributes.<name>`, or `attributes.<name>:number`, `:boolean`, `:json`, and `tags:json`, " +
    "`attributes:json` for a list or an object in a cell. For suppressions `address`, `channel`, `reason`, `createdAt`.",
  example: {
    "E-mail": "email",
    "First name": "attributes.firstName",
    Age: "attributes.age:number",
    Notes: null,
  },
});

const flag = z
  .enum(["true", "false"])
  .transform((value) => value === "true")
  .openapi({ type: "boolean" });

export const uploadQuery = z.object({
  encoding: encoding.optional().openapi({ description: "If it is not found out rightly." }),
  separator: separatorName.optional().openapi({ description: "If it is not found out rightly." }),
  hasHeader: flag.optional().openapi({
    type: "boolean",
    description: "Whether the first line names the columns, if that is not found out rightly.",
  }),
  start: flag.optional().openapi({
    type: "boolean",
    description: "Starts at once, with the proposed mapping and the defaults.",
  }),
});

export const reading = z
  .strictObject({ encoding, separator: separatorName, hasHeader: z.boolean() })
  .partial()
  .openapi("ImportReading", { example: { encoding: "windows-1252", separator: "semicolon" } });

export const contactStart = z
  .strictObject({
    mapping: mapping.optional().openapi({ description: "The proposed mapping if it is not there." }),
    tagsSeparator: z
      .string()
      .min(1, "must not be empty")
      .max(8)
      .default(",")
      .openapi({ description: "What stands between two tags in a cell.", example: "," }),
    addTags: z
      .array(tag)
      .max(MAX_TAGS, `must be at most ${MAX_TAGS} tags`)
      .default([])
      .openapi({ description: "Given to everybody in the file.", example: ["spring-fair"] }),
    onExisting: z
      .enum(["update", "skip"])
      .default("update")
      .openapi({
        description:
          "`update` merges a row into the contact that has its email: attributes and tags are added to those there, " +
          "empty cells leave what is there. `skip` leaves it as it is.",
      }),
  })
  .openapi("ContactImportStart");

export const suppressionStart = z
  .strictObject({
    mapping: mapping.optional().openapi({ description: "The proposed mapping if it is not there." }),
    reason: z.enum(REASONS).default("manual").openapi({ description: "Of rows that give none." }),
  })
  .openapi("SuppressionImportStart");

const progress = z
  .object({
    rows: z.int().openapi({ description: "Rows done: the sum of the four below.", example: 250_000 }),
    created: z.int().openapi({ example: 240_000 }),
    updated: z.int().openapi({ example: 8_000 }),
    unchanged: z.int().openapi({ description: "Also those that `onExisting: skip` left.", example: 1_500 }),
    refused: z.int().openapi({ example: 500 }),
    bytesDone: z.int().openapi({ example: 16_777_216 }),
    bytesTotal: z.int().openapi({ example: 67_108_864 }),
    rowsPerSecond: z
      .int()
      .nullable()
      .openapi({ description: "While it worked; null before.", example: 25_000 }),
    secondsLeft: z
      .int()
      .nullable()
      .openapi({ description: "Null when nothing is known or left.", example: 30 }),
  })
  .openapi("ImportProgress");

const shared = {
  id: id(),
  status: z.enum(STATUSES),
  problem: z.string().nullable().openapi({ description: "Why it failed, if it did.", example: null }),
  encoding: encoding.nullable().openapi({ example: "UTF-8" }),
  separator: separatorName.nullable().openapi({ example: "comma" }),
  hasHeader: z.boolean().nullable().openapi({ example: true }),
  columns: z.array(z.string()).openapi({ example: ["E-mail", "First name"] }),
  proposedMapping: mapping,
  sample: z
    .array(z.array(z.string()))
    .openapi({ description: "The cells of the first five rows.", example: [["ann@example.com", "Ann"]] }),
  progress,
  createdAt: time(),
  startedAt: time().nullable(),
  finishedAt: time().nullable(),
};

export const contactImport = z
  .object({ ...shared, settings: contactStart.required().nullable() })
  .openapi("ContactImport");

export const suppressionImport = z
  .object({ ...shared, settings: suppressionStart.required().nullable() })
  .openapi("SuppressionImport");

export const refusalQuery = z.object({
  limit: pageQuery.limit,
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, "must be the nextCursor of a previous page")
    .transform(Number)
    .default(0)
    .openapi({ type: "string", description: "The `nextCursor` of the page before." }),
});

export const refusal = z
  .object({
    row: z.int().openapi({ description: "As a spreadsheet counts: the header is row 1.", example: 17 }),
    field: z.string().openapi({ description: "What was wrong; `line` for all of it.", example: "email" }),
    reason: z.string().openapi({ example: "must be an email address such as ann@example.com" }),
    line: z.string().openapi({ description: "The line as it is in the file.", example: "ann@example,Ann" }),
    isCut: z.boolean().openapi({ description: "Whether the line was too long to be kept whole." }),
  })
  .openapi("ImportRefusal");

/** The character a separator's name stands for. */
export function separatorOf(name: z.infer<typeof separatorName>) {
  return SEPARATOR_NAMES[name];
}

/** An import as the API shows it. */
export function present(job: Import): z.infer<typeof contactImport> | z.infer<typeof suppressionImport> {
  const { settings } = job;
  const shown = presentFile(job);
  if (settings === null) return { ...shown, settings };
  return isForContacts(settings)
    ? { ...shown, settings: { ...settings, mapping: { ...settings.mapping } } }
    : { ...shown, settings: { ...settings, mapping: { ...settings.mapping } } };
}

function presentFile(job: Import) {
  const rows = job.created + job.updated + job.unchanged + job.refused;
  const seconds = job.workedMs / 1000;
  const isUnderWay = job.status === "running" || job.status === "paused";
  const bytesPerSecond = seconds > 0 ? job.doneBytes / seconds : 0;
  return {
    id: job.id,
    status: job.status,
    problem: job.problem,
    encoding: job.format?.encoding ?? null,
    separator: separatorName.options.find((name) => SEPARATOR_NAMES[name] === job.format?.separator) ?? null,
    hasHeader: job.format?.hasHeader ?? null,
    columns: job.format?.columns ?? [],
    proposedMapping: job.preview?.mapping ?? {},
    sample: job.preview?.sample ?? [],
    progress: {
      rows,
      created: job.created,
      updated: job.updated,
      unchanged: job.unchanged,
      refused: job.refused,
      bytesDone: job.doneBytes,
      bytesTotal: job.sizeBytes,
      rowsPerSecond: seconds > 0 ? Math.round(rows / seconds) : null,
      secondsLeft:
        isUnderWay && bytesPerSecond > 0 ? Math.ceil((job.sizeBytes - job.doneBytes) / bytesPerSecond) : null,
    },
    createdAt: job.createdAt.toISOString(),
    startedAt: job.startedAt?.toISOString() ?? null,
    finishedAt: job.finishedAt?.toISOString() ?? null,
  };
}
