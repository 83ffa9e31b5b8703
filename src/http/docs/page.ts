import { html, raw } from "hono/html";
import type { OpenApiDocument } from "../openapi-document.ts";
import { exampleOf, type FieldTable, fieldTables, type Schema, type Schemas, typeName } from "./schema.ts";
import { STYLE } from "./style.ts";

type Html = ReturnType<typeof html>;
type Parameter = { name: string; in: string; required?: boolean; description?: string; schema?: Schema };
type Content = { [mediaType: string]: { schema?: Schema } };
type Operation = {
  operationId?: string;
  summary?: string;
  description?: string;
  tags?: string[];
  parameters?: Parameter[];
  requestBody?: { content: Content };
  responses?: { [status: string]: { description: string; content?: Content } };
};
type Call = { method: string; path: string; operation: Operation; anchor: string };
type Docs = {
  server: string;
  schemas: Schemas;
  groups: { name: string; description: string; calls: Call[] }[];
};

/** The whole API on one page, made on the server: it needs neither script nor anything fetched from elsewhere. */
export async function renderDocs(document: OpenApiDocument): Promise<string> {
  const docs = docsOf(document);
  const page = await html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${document.info.title}</title>
<style>${raw(STYLE)}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<div class="layout">
${navigation(docs)}
<main id="content">
<h1>${document.info.title}</h1>
<p>The same as a machine reads it: <a href="/openapi.json">openapi.json</a></p>
${prose(document.info.description ?? "")}
${docs.groups.map(
  (group) => html`<section aria-labelledby="${slug(group.name)}">
<h2 id="${slug(group.name)}">${group.name}</h2>
<p>${group.description}</p>
${group.calls.map((call) => section(call, docs))}
</section>`,
)}
</main>
</div>
</body>
</html>
`;
  return String(page);
}

function navigation(docs: Docs): Html {
  return html`<nav aria-label="API">
${docs.groups.map(
  (group) => html`<details><summary>${group.name}</summary><ul>
${group.calls.map((call) => html`<li><a href="#${call.anchor}">${call.operation.summary ?? call.path}</a></li>`)}
</ul></details>`,
)}
</nav>`;
}

function section({ method, path, operation, anchor }: Call, docs: Docs): Html {
  const body = operation.requestBody?.content["application/json"]?.schema;
  const [, success] =
    Object.entries(operation.responses ?? {}).find(([status]) => status.startsWith("2")) ?? [];
  const answer = success?.content?.["application/json"]?.schema;
  return html`<article aria-labelledby="${anchor}">
<h3 id="${anchor}"><a href="#${anchor}">${operation.summary ?? path}</a></h3>
<p class="call"><code><span class="method ${method}">${method}</span> ${path}</code></p>
${prose(operation.description ?? "")}
${parameterTable(operation.parameters ?? [], docs)}
${body === undefined ? "" : schemaTables("Body", body, docs)}
${answer === undefined ? "" : schemaTables("Answer", answer, docs)}
${answerTable(operation)}
<h4>Example</h4>
<pre tabindex="0"><code>${curl(method, path, body, docs)}</code></pre>
</article>`;
}

function parameterTable(parameters: readonly Parameter[], docs: Docs): Html | "" {
  if (parameters.length === 0) return "";
  return html`<h4>Parameters</h4>
<div class="scroll" tabindex="0"><table>
<thead><tr><th scope="col">Name</th><th scope="col">In</th><th scope="col">Type</th><th scope="col">Meaning</th></tr></thead>
<tbody>${parameters.map(
    (parameter) => html`<tr><td><code>${parameter.name}</code>${mark(parameter.required)}</td>
<td>${parameter.in}</td><td>${typeName(parameter.schema ?? {}, docs.schemas)}</td>
<td>${parameter.description ?? parameter.schema?.description ?? ""}</td></tr>`,
  )}</tbody>
</table></div>`;
}

function schemaTables(title: string, schema: Schema, docs: Docs): Html[] {
  return fieldTables(schema, docs.schemas).map((table) => fieldTable(title, table));
}

function fieldTable(title: string, table: FieldTable): Html {
  return html`<h4>${title}${table.name === "" ? "" : html` <code>${table.name}</code>`}</h4>
<div class="scroll" tabindex="0"><table>
<thead><tr><th scope="col">Field</th><th scope="col">Type</th><th scope="col">Meaning</th></tr></thead>
<tbody>${table.rows.map(
    (row) => html`<tr><td><code>${row.path}</code>${mark(row.required && title === "Body")}</td>
<td>${row.type}</td><td>${row.notes}</td></tr>`,
  )}</tbody>
</table></div>`;
}

function answerTable(operation: Operation): Html {
  return html`<h4>Statuses</h4>
<ul>${Object.entries(operation.responses ?? {}).map(([status, response]) => html`<li><code>${status}</code> ${response.description}</li>`)}</ul>`;
}

function mark(required: boolean | undefined): Html | "" {
  return required === true ? html` <span class="muted">required</span>` : "";
}

function curl(method: string, path: string, body: Schema | undefined, docs: Docs): string {
  const id = "01989c2a-7d3c-7cc3-98c4-dc0c0c07398f";
  const lines = [
    `curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${docs.server}${path.replaceAll(/\{.+?\}/g, id)}`,
    `  -H "Authorization: Bearer $EDGR_API_KEY"`,
  ];
  if (body !== undefined) {
    const example = JSON.stringify(exampleOf(body, docs.schemas), null, 2).replaceAll("'", "'\\''");
    lines.push(`  -H "Content-Type: application/json"`, `  -d '${example}'`);
  }
  return lines.join(" \\\n");
}

// Paragraphs and `code`: all the formatting that our descriptions use.
function prose(text: string): Html[] {
  const paragraphs = text.split("\n\n").filter((paragraph) => paragraph !== "");
  return paragraphs.map(
    (paragraph) =>
      html`<p>${paragraph.split("`").map((part, place) => (place % 2 === 1 ? html`<code>${part}</code>` : part))}</p>`,
  );
}

function docsOf(document: OpenApiDocument): Docs {
  // Through JSON, as every reader of /openapi.json sees it.
  const paths: { [path: string]: { [method: string]: Operation } } = JSON.parse(
    JSON.stringify(document.paths ?? {}),
  );
  const schemas: Schemas = JSON.parse(JSON.stringify(document.components?.schemas ?? {}));
  const calls = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      method,
      path,
      operation,
      anchor: operation.operationId ?? slug(`${method} ${path}`),
    })),
  );
  const groups = (document.tags ?? []).map(({ name, description = "" }) => ({
    name,
    description,
    calls: calls.filter((call) => call.operation.tags?.includes(name)),
  }));
  return { server: document.servers?.[0]?.url ?? "", schemas, groups };
}

function slug(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
}
