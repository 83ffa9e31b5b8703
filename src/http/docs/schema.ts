/** The part of JSON Schema that our routes' documents use. */
export type Schema = {
  $ref?: string;
  type?: string | string[];
  format?: string;
  description?: string;
  properties?: { [name: string]: Schema };
  required?: string[];
  items?: Schema;
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  example?: unknown;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
};

export type Schemas = { [name: string]: Schema };

/** One line of a schema's table; nested fields have a path such as `nodes[].subject`. */
export type FieldRow = { path: string; type: string; required: boolean; notes: string };

/** The fields of an object, or of each of the objects it may be: `name` is empty when there is one only. */
export type FieldTable = { name: string; rows: FieldRow[] };

const MAX_DEPTH = 4;

/** The tables that describe `schema`; one for each variant of a union. */
export function fieldTables(schema: Schema, schemas: Schemas): FieldTable[] {
  const resolved = resolve(schema, schemas);
  const variants = variantsOf(resolved);
  if (variants.length === 0) return [{ name: "", rows: rowsOf(resolved, schemas, "", 0) }];
  return variants.map((variant) => ({
    name: labelOf(variant, schemas),
    rows: rowsOf(resolve(variant, schemas), schemas, "", 0),
  }));
}

/** A value that fits the schema, from its examples where it has them. */
export function exampleOf(schema: Schema, schemas: Schemas, depth = 0): unknown {
  const resolved = resolve(schema, schemas);
  if (resolved.example !== undefined) return resolved.example;
  if (resolved.const !== undefined) return resolved.const;
  if (resolved.default !== undefined) return resolved.default;
  if (resolved.enum !== undefined) return resolved.enum[0];
  const [variant] = variantsOf(resolved);
  if (variant !== undefined) return exampleOf(variant, schemas, depth);
  const types = [resolved.type ?? "object"].flat();
  if (types.includes("object") && depth < MAX_DEPTH) {
    const properties = Object.entries(resolved.properties ?? {});
    return Object.fromEntries(
      properties.map(([name, field]) => [name, exampleOf(field, schemas, depth + 1)]),
    );
  }
  if (types.includes("array") && depth < MAX_DEPTH) {
    return resolved.items === undefined ? [] : [exampleOf(resolved.items, schemas, depth + 1)];
  }
  if (types.includes("string")) return "…";
  if (types.includes("integer") || types.includes("number")) return resolved.minimum ?? 1;
  return types.includes("boolean") ? true : null;
}

function rowsOf(
  schema: Schema,
  schemas: Schemas,
  prefix: string,
  depth: number,
  around: readonly Schema[] = [],
): FieldRow[] {
  if (depth > MAX_DEPTH) return [];
  if (schema.type === "array" && schema.items !== undefined) {
    return rowsOf(resolve(schema.items, schemas), schemas, `${prefix}[].`, depth + 1, around);
  }
  const required = new Set(schema.required);
  return Object.entries(schema.properties ?? {}).flatMap(([name, given]) => {
    const field = resolve(given, schemas);
    const path = `${prefix}${name}`;
    const row = { path, type: typeName(given, schemas), required: required.has(name), notes: notesOf(field) };
    return [row, ...nestedRows(field, schemas, path, depth + 1, around)];
  });
}

/** @param around what the field is inside of: a schema that holds itself is opened once */
function nestedRows(
  field: Schema,
  schemas: Schemas,
  path: string,
  depth: number,
  around: readonly Schema[],
): FieldRow[] {
  const inner = field.items === undefined ? field : resolve(field.items, schemas);
  if (depth > MAX_DEPTH || around.includes(inner)) return [];
  const prefix = field.items === undefined ? `${path}.` : `${path}[].`;
  const objects = [inner, ...variantsOf(inner).map((variant) => resolve(variant, schemas))];
  const rows = objects.flatMap((object) =>
    object.properties === undefined ? [] : rowsOf(object, schemas, prefix, depth, [...around, inner]),
  );
  // Variants of a union share fields such as `id`: one line each is enough.
  return [...new Map(rows.map((row) => [`${row.path} ${row.type}`, row])).values()];
}

/** What a field holds, in words: `string (date-time) or null`. */
export function typeName(schema: Schema, schemas: Schemas): string {
  const resolved = resolve(schema, schemas);
  const variants = variantsOf(resolved);
  if (variants.length > 0)
    return [...new Set(variants.map((variant) => typeName(variant, schemas)))].join(" or ");
  if (resolved.const !== undefined) return JSON.stringify(resolved.const);
  if (resolved.enum !== undefined) return resolved.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (resolved.items !== undefined) return `list of ${typeName(resolved.items, schemas)}`;
  const names = [resolved.type ?? "any"].flat().join(" or ");
  return resolved.format === undefined ? names : `${names} (${resolved.format})`;
}

function notesOf(schema: Schema): string {
  const { minimum, maximum, minLength, maxLength, maxItems } = schema;
  const limits = [
    minimum === undefined ? null : `at least ${minimum}`,
    maximum === undefined ? null : `at most ${maximum}`,
    minLength === undefined ? null : `at least ${minLength} characters`,
    maxLength === undefined ? null : `at most ${maxLength} characters`,
    maxItems === undefined ? null : `at most ${maxItems} items`,
    schema.default === undefined ? null : `default ${JSON.stringify(schema.default)}`,
  ].filter((limit) => limit !== null);
  return [schema.description ?? "", limits.join(", ")].filter((note) => note !== "").join(" · ");
}

function labelOf(variant: Schema, schemas: Schemas): string {
  const discriminator = Object.entries(resolve(variant, schemas).properties ?? {}).find(
    ([, field]) => field.const !== undefined || field.enum?.length === 1,
  );
  if (discriminator === undefined) return variant.$ref?.split("/").at(-1) ?? "";
  const [name, field] = discriminator;
  return `${name}: ${JSON.stringify(field.const ?? field.enum?.[0])}`;
}

function variantsOf(schema: Schema): Schema[] {
  return schema.oneOf ?? schema.anyOf ?? [];
}

function resolve(schema: Schema, schemas: Schemas): Schema {
  if (schema.$ref !== undefined) return resolve(schemas[schema.$ref.split("/").at(-1) ?? ""] ?? {}, schemas);
  if (schema.allOf === undefined) return schema;
  const parts = schema.allOf.map((part) => resolve(part, schemas));
  return {
    ...Object.assign({}, ...parts),
    ...schema,
    properties: Object.assign({}, ...parts.map((part) => part.properties), schema.properties),
    required: [...parts.flatMap((part) => part.required ?? []), ...(schema.required ?? [])],
  };
}
