import { Parser } from "htmlparser2";
import { rewriteHtml } from "../tracking/rewrite.ts";

const LIQUID = /\{\{|\{%/;
/** Liquid inside a tag, or a comparison that the parser took for one, ends up in attribute names. */
const NOT_AN_ATTRIBUTE = /[{}%<]/;
/** `{{ something | raw }}` may be a piece of HTML with links of its own. */
const RAW_OUTPUT = /\|\s*raw\b/;
/** The one template variable whose link is known: it is never tracked. */
const UNSUBSCRIBE_LINK = /^\s*\{\{-?\s*unsubscribeUrl\s*-?\}\}\s*$/;

/** `complete`: a link that is not among `urls` is certainly not tracked in any email made from the template. */
export type TrackedLinks = { urls: ReadonlySet<string>; complete: boolean };

/** The links of an email's HTML template that `rewriteHtml` will track, as a click on them will be recorded. */
export function trackedLinks(html: string): TrackedLinks {
  const urls = new Set<string>();
  const rewritten = rewriteHtml(html, {
    click: (url) => {
      urls.add(url);
      return url;
    },
    unsubscribeUrl: "{{ unsubscribeUrl }}",
    footer: () => "",
    pixelUrl: null,
  });
  return { urls, complete: rewritten.ok && !writesLinks(html) };
}

/** Whether Liquid may put a link together that nobody knows before an email is made. */
function writesLinks(html: string): boolean {
  let found = RAW_OUTPUT.test(html);
  const parser = new Parser({
    onopentag(_name, attributes) {
      const href = attributes.href ?? "";
      const isWritten = LIQUID.test(href) && !UNSUBSCRIBE_LINK.test(href);
      if (isWritten || Object.keys(attributes).some((name) => NOT_AN_ATTRIBUTE.test(name))) found = true;
    },
  });
  parser.end(html);
  return found;
}
