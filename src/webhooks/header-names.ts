/** RFC 9110 section 5.1: a token. */
const NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/;
/** Section 5.5, in ASCII: visible characters, with spaces and tabs between them. */
const VALUE = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/;

const MAX_VALUE_CHARS = 4_000;

const OF_THE_CONNECTION = "belongs to the connection, which EDGR makes";
const OF_THE_BODY = "says what the body is, and that is always JSON from EDGR";

const FORBIDDEN = new Map(
  Object.entries({
    host: "names the server, as the address does",
    "content-length": OF_THE_BODY,
    "content-type": OF_THE_BODY,
    "content-encoding": OF_THE_BODY,
    connection: OF_THE_CONNECTION,
    "keep-alive": OF_THE_CONNECTION,
    "transfer-encoding": OF_THE_CONNECTION,
    te: OF_THE_CONNECTION,
    trailer: OF_THE_CONNECTION,
    upgrade: OF_THE_CONNECTION,
    expect: OF_THE_CONNECTION,
    "accept-encoding": "would have the answer come compressed, and it is kept as it comes",
  }),
);

/**
 * Why a header can't be added to EDGR's requests.
 * @returns null when it can; otherwise the reason, to follow the field's name, without the value: it may be a secret
 */
export function headerProblem(name: string, value: string): string | null {
  if (!NAME.test(name)) return "is not a header's name: up to 100 letters, digits and hyphens";
  const lower = name.toLowerCase();
  const forbidden = FORBIDDEN.get(lower);
  if (forbidden !== undefined) return forbidden;
  if (/^(webhook|svix)-/.test(lower)) return "is kept for the signature";
  if (lower.startsWith("proxy-")) return OF_THE_CONNECTION;
  if (value.length > MAX_VALUE_CHARS) return `has a value of more than ${MAX_VALUE_CHARS} characters`;
  return VALUE.test(value) ? null : "has a value that is no visible ASCII text without spaces around it";
}
