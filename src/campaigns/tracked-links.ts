import { Parser } from "htmlparser2";
import { type HtmlLink, linksOf } from "../telegram/html.ts";
import { withoutTags } from "../templates/parse.ts";
import { isTrackableUrl } from "../tracking/links.ts";
import { rewriteHtml } from "../tracking/rewrite.ts";
import type { EmailMessageNode, MessageNode, TelegramMessageNode } from "./schema.ts";

const LIQUID = /\{\{|\{%/;
/** Liquid inside a tag, or a comparison that the parser took for one, ends up in attribute names. */
const NOT_AN_ATTRIBUTE = /[{}%<]/;
/** `{{ something | raw }}` may be a piece of HTML with links of its own, and so may a partial or a layout. */
const MORE_HTML = /\|\s*raw\b|\{%-?\s*(?:render|layout|block)\b/;
/** The template variables whose links are known: they are never tracked. */
const OWN_LINK = /^\s*\{\{-?\s*(?:unsubscribeUrl|preferencesUrl|viewInBrowserUrl)\s*-?\}\}\s*$/;

/** `complete`: a link that is not among `urls` is certainly not tracked in any message made from the template. */
export type TrackedLinks = { urls: ReadonlySet<string>; complete: boolean };

/** The links of a message's template that will be tracked, as a click on them will be recorded. */
export function trackedLinks(node: MessageNode): TrackedLinks {
  return node.channel === "email" ? linksOfEmail(node) : linksOfTelegram(node);
}

/** What links there are in the HTML that MJML becomes is not looked into. */
function linksOfEmail({ format, html }: Pick<EmailMessageNode, "format" | "html">): TrackedLinks {
  if (format === "mjml") return { urls: new Set(), complete: false };
  const urls = new Set<string>();
  const rewritten = rewriteHtml(html, {
    click: (url) => {
      urls.add(url);
      return url;
    },
    unsubscribeUrl: "{{ unsubscribeUrl }}",
    ownUrls: [],
    footer: () => "",
    pixelUrl: null,
  });
  return { urls, complete: rewritten.ok && !writesLinks(html) };
}

/** Of the text and of the buttons. */
function linksOfTelegram({ text, buttons }: Pick<TelegramMessageNode, "text" | "buttons">): TrackedLinks {
  const inText = linksOf(withoutTags(text));
  const onButtons = buttons
    .flat()
    .flatMap(({ url }): HtmlLink[] => (url === undefined ? [] : [{ url, isTracked: true }]));
  const links = [...(inText ?? []), ...onButtons].filter(
    ({ url, isTracked }) => isTracked && !OWN_LINK.test(url),
  );
  const written = links.map(({ url }) => url.trim());
  return {
    urls: new Set(written.filter((url) => !LIQUID.test(url) && isTrackableUrl(url))),
    complete: inText !== null && !MORE_HTML.test(text) && !written.some((url) => LIQUID.test(url)),
  };
}

/** Whether Liquid may put a link together that nobody knows before an email is made. */
function writesLinks(html: string): boolean {
  let found = MORE_HTML.test(html);
  const parser = new Parser({
    onopentag(_name, attributes) {
      const href = attributes.href ?? "";
      const isWritten = LIQUID.test(href) && !OWN_LINK.test(href);
      if (isWritten || Object.keys(attributes).some((name) => NOT_AN_ATTRIBUTE.test(name))) found = true;
    },
  });
  parser.end(html);
  return found;
}
