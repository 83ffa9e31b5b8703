/** What curl has to send. Header names as they went out. */
export type CurlRequest = {
  /** Null where it is a secret. */
  url: string | null;
  headers: { [name: string]: string };
  /** Names, in any case, of headers whose values are secret. */
  secretHeaders: readonly string[];
  body: string;
};

/** Which of them curl makes itself, of this request. */
const OF_THE_CONNECTION = new Set(["host", "content-length", "connection"]);

/** Linux takes 131,072 bytes an argument, the name of its option not counted. */
const MAX_ARGUMENT_BYTES = 100_000;

/** What can be a header's value here (header-names.ts); anything else stands where a secret was. */
const VALUE = /^[\t\x20-\x7e]*$/;

/**
 * A command for a POSIX shell that sends the same request again. What is secret comes from variables:
 * `$WEBHOOK_URL`, and `$HEADER_AUTHORIZATION` for Authorization.
 */
export function curlCommand({ url, headers, secretHeaders, body }: CurlRequest): string {
  const secret = new Set(secretHeaders.map((name) => name.toLowerCase()));
  const shown = Object.entries(headers).filter(([name]) => !OF_THE_CONNECTION.has(name.toLowerCase()));
  const lines = [
    // Brackets and braces in an address are no patterns here.
    `curl --globoff --request POST --url ${url === null ? '"$WEBHOOK_URL"' : quote(url)}`,
    ...shown.map(([name, value]) =>
      secret.has(name.toLowerCase()) || !VALUE.test(value)
        ? `--header ${quote(`${name}: `)}"$${variable(name)}"`
        : `--header ${quote(`${name}: ${value}`)}`,
    ),
  ];
  const isLong = Buffer.byteLength(body) > MAX_ARGUMENT_BYTES;
  // The shell's own printf takes any length, and hands over every byte.
  const before = isLong ? `printf %s ${quote(body)} | ` : "";
  return `${before}${[...lines, isLong ? "--data-binary @-" : `--data-raw ${quote(body)}`].join(" \\\n  ")}`;
}

/** Between single quotes a shell reads nothing but the quote that ends them. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function variable(headerName: string): string {
  return `HEADER_${headerName.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}`;
}
