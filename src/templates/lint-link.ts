import type { Severity } from "./severity.ts";

export type LinkRule =
  | "link-empty"
  | "link-unsafe"
  | "link-relative"
  | "link-insecure"
  | "link-broken"
  | "image-data";

type Problem = { rule: LinkRule; severity: Severity; message: string };

const LIQUID = /\{\{|\{%/;
const SCHEME = /^[a-z][a-z0-9+.-]*:/i;
const UNSAFE = /^(?:javascript|vbscript|file):/i;
const SHOWN_CHARS = 80;

/**
 * What is wrong with an address of an email by its form, which is all that is looked at.
 * @param isTemplate whether Liquid in it gets values later
 */
export function linkProblem(what: "link" | "image", address: string, isTemplate: boolean): Problem | null {
  // Browsers drop these wherever they are.
  const url = address.trim().replace(/[\t\n\r]/g, "");
  if (url === "" || url === "#")
    return { rule: "link-empty", severity: "error", message: `The ${what} has no address.` };
  const shown = url.length > SHOWN_CHARS ? `${url.slice(0, SHOWN_CHARS)}…` : url;
  if (UNSAFE.test(url) || (what === "link" && /^data:/i.test(url)))
    return { rule: "link-unsafe", severity: "error", message: `Mail programs block the ${what} ${shown}.` };
  if (isTemplate && LIQUID.test(url)) return null;
  if (!SCHEME.test(url)) {
    const message = `The ${what} ${shown} is relative: an email has no address of its own it could begin with.`;
    return { rule: "link-relative", severity: "error", message };
  }
  if (/^data:/i.test(url))
    return { rule: "image-data", severity: "warning", message: "Gmail and others show no data: images." };
  return /^https?:/i.test(url) ? webProblem(what, url, shown) : null;
}

function webProblem(what: "link" | "image", url: string, shown: string): Problem | null {
  const parsed = URL.parse(url);
  const isPublic = parsed !== null && (parsed.hostname.includes(".") || parsed.hostname.startsWith("["));
  if (!isPublic || !/^https?:\/\//i.test(url) || /[{}\s]/.test(parsed.host))
    return {
      rule: "link-broken",
      severity: "error",
      message: `The ${what} ${shown} is no address of the web.`,
    };
  if (parsed.protocol === "https:") return null;
  const message = `The ${what} ${shown} is http: use https, browsers warn of the other.`;
  return { rule: "link-insecure", severity: "warning", message };
}
