type Expecting = "value" | "firstItem" | "firstKey" | "key" | "colon" | "next" | "nothing";

const WORD = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/y;
const SPACE = /[ \t\n\r]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/**
 * Where `text` stops being JSON (RFC 8259), as an offset; its length when it only ends too early. For text that
 * JSON.parse has refused: Bun's message does not say where.
 */
export function jsonErrorOffset(text: string): number {
  const open: string[] = [];
  let expecting: Expecting = "value";
  let at = skip(SPACE, text, 0);
  while (at < text.length) {
    const step = take(text, at, expecting, open);
    if (step === null) return at;
    if (step.error) return step.end;
    expecting = step.expecting;
    at = skip(SPACE, text, step.end);
  }
  return at;
}

type Step = { end: number; expecting: Expecting; error: boolean };

function take(text: string, at: number, expecting: Expecting, open: string[]): Step | null {
  const char = text.charAt(at);
  if (expecting === "colon") return char === ":" ? step(at + 1, "value") : null;
  if (expecting === "next" && char === ",") return step(at + 1, open.at(-1) === "{" ? "key" : "value");
  if (char === "}" && open.at(-1) === "{" && (expecting === "next" || expecting === "firstKey")) {
    open.pop();
    return step(at + 1, after(open));
  }
  if (char === "]" && open.at(-1) === "[" && (expecting === "next" || expecting === "firstItem")) {
    open.pop();
    return step(at + 1, after(open));
  }
  if (expecting === "next" || expecting === "nothing") return null;
  if (char === '"')
    return takeString(text, at, expecting === "key" || expecting === "firstKey" ? "colon" : after(open));
  if (expecting === "key" || expecting === "firstKey") return null;
  if (char === "{" || char === "[") {
    open.push(char);
    return step(at + 1, char === "{" ? "firstKey" : "firstItem");
  }
  const end = skip(WORD, text, at);
  return end === at ? null : step(end, after(open));
}

function takeString(text: string, start: number, expecting: Expecting): Step {
  let at = start + 1;
  while (at < text.length && text.charAt(at) !== '"') {
    if (text.charAt(at) < " ") return { end: at, expecting, error: true };
    const end = text.charAt(at) === "\\" ? skip(ESCAPE, text, at) : at + 1;
    if (end === at) return { end: at, expecting, error: true };
    at = end;
  }
  return at < text.length ? step(at + 1, expecting) : { end: at, expecting, error: true };
}

const step = (end: number, expecting: Expecting): Step => ({ end, expecting, error: false });

const after = (open: readonly string[]): Expecting => (open.length === 0 ? "nothing" : "next");

function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
