import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const ROOT = path.join(import.meta.dirname, "..");

type Source = { file: string; text: string; imports: string[] };

const sources: Source[] = readdirSync(path.join(ROOT, "src"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .map((file) => {
    const text = readFileSync(path.join(ROOT, "src", file), "utf8");
    const specifiers = [
      ...text.matchAll(/(?:^|\n)(?:import|export)[^;]*?from "([^"]+)"|import\("([^"]+)"\)/g),
    ];
    const imports = specifiers.map((match) => resolve(file, match[1] ?? match[2] ?? ""));
    return { file, text, imports };
  });

// A path below src/ for our own files, the package's name for others.
function resolve(file: string, specifier: string): string {
  return specifier.startsWith(".") ? path.posix.join(path.posix.dirname(file), specifier) : specifier;
}

/** Imports that break a rule, as "who imports whom". */
function violations(
  of: (file: string) => boolean,
  isForbidden: (imported: string, file: string) => boolean,
): string[] {
  return sources
    .filter(({ file }) => of(file))
    .flatMap(({ file, imports }) =>
      imports
        .filter((imported) => isForbidden(imported, file))
        .map((imported) => `${file} imports ${imported}`),
    );
}

const inFolder = (...folders: string[]) => {
  return (file: string) => folders.some((folder) => file.startsWith(`${folder}/`));
};

const PURE = new Set([
  "errors.ts",
  "ip-ranges.ts",
  "egress/address.ts",
  "egress/result.ts",
  "events/event.ts",
  "events/id.ts",
  "events/storable.ts",
  "events/group-commit.ts",
  "tracking/token.ts",
  "tracking/links.ts",
  "tracking/bots.ts",
  "tracking/device.ts",
  "tracking/rewrite.ts",
  "contacts/filter.ts",
  "contacts/filter-matches.ts",
  "contacts/moment.ts",
  "time-zone.ts",
  "conversations/compose-reply.ts",
  "conversations/media.ts",
  "campaigns/rounds.ts",
  "campaigns/node-schema.ts",
  "campaigns/node-fields.ts",
  "campaigns/message-schema.ts",
  "campaigns/telegram-schema.ts",
  "campaigns/telegram-markup.ts",
  "campaigns/telegram-problems.ts",
  "campaigns/problem.ts",
  "campaigns/node-problems.ts",
  "campaigns/edge-problems.ts",
  "campaigns/graph.ts",
  "campaigns/webhook-call.ts",
  "campaigns/schema.ts",
  "campaigns/validate.ts",
  "campaigns/structure.ts",
  "campaigns/tracked-links.ts",
  "campaigns/duration.ts",
  "inbound/ses/bounce.ts",
  "inbound/json.ts",
  "inbound/ses/event-details.ts",
  "inbound/ses/events.ts",
  "inbound/ses/mail.ts",
  "inbound/ses/notice.ts",
  "inbound/ses/received.ts",
  "inbound/ses/reply-address.ts",
  "inbound/ses/sns.ts",
  "credentials/schedule.ts",
  "credentials/zone.ts",
  "credentials/ses-setup-delivery.ts",
  "credentials/ses-setup-plan.ts",
  "credentials/ses-setup-policy.ts",
  "inbound/ses/topic.ts",
  "inbound/telegram/callback.ts",
  "inbound/telegram/entities.ts",
  "inbound/telegram/fields.ts",
  "inbound/telegram/media.ts",
  "inbound/telegram/message.ts",
  "inbound/telegram/start-link.ts",
  "inbound/telegram/update.ts",
  "telegram/callback.ts",
  "telegram/content.ts",
  "telegram/failure.ts",
  "telegram/html.ts",
  "telegram/html-tokens.ts",
  "telegram/limits.ts",
  "templates/parse.ts",
  "templates/expand.ts",
  "templates/mjml.ts",
  "templates/mjml-structure.ts",
  "templates/lint.ts",
  "templates/lint-link.ts",
  "templates/lint-subject.ts",
  "templates/severity.ts",
  "messages/compose.ts",
  "messages/compose-telegram.ts",
  "messages/telegram-node.ts",
  "messages/partial-tag.ts",
  "messages/headers.ts",
  "messages/template.ts",
  "messages/text.ts",
  "messages/retry.ts",
  "messages/rate-limit.ts",
  "messages/answer-reason.ts",
  "messages/smtp-outcome.ts",
  "messages/status.ts",
  "imports/split.ts",
  "imports/parse.ts",
  "imports/detect.ts",
  "imports/mapping.ts",
  "imports/waves.ts",
  "webhooks/breaker.ts",
  "webhooks/catalogue.ts",
  "webhooks/catalogue-types.ts",
  "webhooks/curl.ts",
  "webhooks/digest-defaults.ts",
  "webhooks/discord-answer.ts",
  "webhooks/endpoint-url.ts",
  "webhooks/event-data.ts",
  "webhooks/event-examples.ts",
  "webhooks/event-pattern.ts",
  "webhooks/header-names.ts",
  "webhooks/masked-answer.ts",
  "webhooks/outcome.ts",
  "webhooks/render.ts",
  "webhooks/replay.ts",
  "webhooks/retry-after.ts",
  "webhooks/retry.ts",
  "webhooks/in-hand.ts",
  "webhooks/share.ts",
  "webhooks/sign.ts",
  "webhooks/slack-answer.ts",
  "webhooks/told.ts",
  "webhooks/verdict.ts",
  "webhooks/verification.ts",
  "webhooks/waiting.ts",
  "webhooks/why-not.ts",
  "webhooks/format/custom.ts",
  "webhooks/format/cut.ts",
  "webhooks/format/discord.ts",
  "webhooks/format/saying.ts",
  "webhooks/format/slack.ts",
  "webhooks/format/voices.ts",
  "exports/contact-columns.ts",
  "exports/csv.ts",
]);

const IO = /^(pg|kysely|hono|nodemailer|smtp-server|node:(?!(?:crypto|url)$)|bun)/;

describe("the house", () => {
  test("keeps the pure parts free of database, network and clock", () => {
    const isForbidden = (imported: string) =>
      IO.test(imported) || (imported.endsWith(".ts") && !PURE.has(imported));
    expect(violations((file) => PURE.has(file), isForbidden)).toEqual([]);
    const impure = sources.filter(({ file, text }) => PURE.has(file) && /Date\.now\(\)/.test(text));
    // An id's default time is the clock; everything else is handed its time.
    expect(impure.map(({ file }) => file)).toEqual(["events/id.ts"]);
  });

  test("writes SQL in queries.ts, the projections and the storage only", () => {
    const mayWriteSql = (file: string) => /queries\.ts$/.test(file) || inFolder("projector", "storage")(file);
    const isSql = (imported: string, file: string) => imported === "kysely" && !mayWriteSql(file);
    expect(violations(() => true, isSql)).toEqual([]);
  });

  test("lets the storage know nobody", () => {
    const isForbidden = (imported: string) =>
      imported.endsWith(".ts") && !imported.startsWith("storage/") && imported !== "errors.ts";
    expect(violations(inFolder("storage"), isForbidden)).toEqual([]);
  });

  test("keeps the projector out of HTTP and HTTP out of the projector", () => {
    expect(violations(inFolder("projector"), (imported) => /^(http\/|hono|@hono)/.test(imported))).toEqual(
      [],
    );
    expect(violations(inFolder("http", "tracking"), (imported) => imported.startsWith("projector/"))).toEqual(
      [],
    );
  });

  test("gives the tracking edge the events and nothing else of ours", () => {
    const isForbidden = (imported: string) =>
      imported.endsWith(".ts") && !/^(tracking|events)\//.test(imported) && imported !== "storage/pool.ts";
    expect(violations(inFolder("tracking"), isForbidden)).toEqual([]);
  });

  test("calls out over HTTP nowhere: the demo talks to itself, the doctor to its own server", () => {
    const callers = sources.filter(({ text }) => /(?<![.\w])fetch\(/.test(text)).map(({ file }) => file);
    expect(
      callers.filter((file) => !inFolder("demo", "cli", "egress")(file) && file !== "http/server.ts"),
    ).toEqual([]);
    const isClient = (imported: string) => /^(undici|axios|got|node:https?)$/.test(imported);
    expect(violations((file) => !inFolder("egress")(file), isClient)).toEqual([]);
  });

  test("uses what only Bun has in two files, so that a port stays cheap", () => {
    const users = sources.filter(({ text }) => /\bBun\.\w/.test(text)).map(({ file }) => file);
    expect(users.filter((file) => file !== "main.ts" && file !== "http/server.ts")).toEqual([]);
  });

  test("reads the environment in config.ts alone, to which main.ts hands it", () => {
    const readers = sources.filter(({ text }) => text.includes("process.env")).map(({ file }) => file);
    // The demo hands its own environment on to the EDGR it starts.
    expect(readers.sort()).toEqual(["demo/demo.ts", "main.ts"]);
  });

  test("imports main.ts nowhere", () => {
    expect(
      violations(
        () => true,
        (imported) => imported === "main.ts",
      ),
    ).toEqual([]);
  });

  test("has no circles", () => {
    const graph = new Map(sources.map(({ file, imports }) => [file, imports]));
    const circles: string[] = [];
    const done = new Set<string>();
    const visit = (file: string, way: string[]): void => {
      const start = way.indexOf(file);
      if (start !== -1) circles.push([...way.slice(start), file].join(" → "));
      if (start !== -1 || done.has(file)) return;
      for (const imported of graph.get(file) ?? []) visit(imported, [...way, file]);
      done.add(file);
    };
    for (const { file } of sources) visit(file, []);
    expect(circles).toEqual([]);
  });
});
