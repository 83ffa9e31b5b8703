import type { Attributes, IOptions } from "sanitize-html";

/** Longer HTML is not shown; it is read as text. */
export const MAX_HTML_BYTES = 2_000_000;
/** A newsletter of 100 kB takes 20 to 60 ms, one of 2 MB a third of a second; nothing else is answered meanwhile. */
const MAX_MS = 500;
/** Deeper than mail programs nest their tables, and less than what a browser's layout minds. */
const MAX_DEPTH = 100;

const LINK_SCHEMES = ["http:", "https:", "mailto:"];
const MAX_URL_CHARS = 8_000;

const BLOCKS =
  "address article blockquote center dd div dl dt footer h1 h2 h3 h4 h5 h6 header hr li main ol p pre section ul";
const TABLES = "caption col colgroup table tbody td tfoot th thead tr";
const INLINE =
  "a abbr b bdi bdo big br cite code del dfn em font i img ins kbd mark q s samp small span strike strong sub sup tt u var wbr";

// Without class, id, name and style: nothing in a mail names or covers a part of the page that shows it.
const EVERYWHERE = ["align", "dir", "lang"];
const CELL = ["bgcolor", "colspan", "rowspan", "valign", "width", "height"];

const OPTIONS: IOptions = {
  allowedTags: `${BLOCKS} ${TABLES} ${INLINE}`.split(" "),
  allowedAttributes: {
    "*": EVERYWHERE,
    a: ["href", "rel", "target"],
    img: ["alt", "data-src", "height", "width"],
    font: ["color", "size"],
    table: ["bgcolor", "border", "cellpadding", "cellspacing", "width"],
    td: CELL,
    th: CELL,
    tr: ["bgcolor", "valign"],
    ol: ["start", "type"],
  },
  // Their text is no text for people either.
  nonTextTags:
    "script style title textarea option select noscript noembed noframes iframe object applet svg math template xmp plaintext audio video".split(
      " ",
    ),
  allowedSchemes: ["http", "https", "mailto"],
  allowProtocolRelative: false,
  allowedSchemesAppliedToAttributes: ["href", "data-src"],
  parseStyleAttributes: false,
  enforceHtmlBoundary: false,
  nestingLimit: MAX_DEPTH,
  transformTags: {
    a: (tagName, { href }) => ({ tagName, attribs: linkTo(addressOf(href, LINK_SCHEMES)) }),
    img: (tagName, { src, alt, height, width }) => ({
      tagName,
      attribs: given({ "data-src": addressOf(src, ["http:", "https:"]), alt, height, width }),
    }),
  },
  exclusiveFilter: ({ tag, attribs }) => tag === "img" && attribs["data-src"] === undefined,
};

/**
 * HTML of a stranger's mail as it may be shown: text, tables and links that open elsewhere. No script, style or form is
 * in it, and nothing is loaded: an image has its address in `data-src` only, since loading it tells the sender that he
 * is read; pictures that are attached are not shown.
 * @param now in milliseconds
 * @returns null for what is larger than `MAX_HTML_BYTES`, or takes too long
 */
export async function sanitizeHtml(html: string, now: () => number): Promise<string | null> {
  if (Buffer.byteLength(html) > MAX_HTML_BYTES) return null;
  // Loaded when somebody reads such a mail: it is a third of EDGR's whole start.
  const { default: sanitize } = await import("sanitize-html");
  const until = now() + MAX_MS;
  const watch = () => {
    if (now() > until) throw new TookTooLong();
  };
  try {
    return sanitize(html, { ...OPTIONS, onOpenTag: watch, onCloseTag: watch });
  } catch (error) {
    if (error instanceof TookTooLong) return null;
    throw error;
  }
}

class TookTooLong extends Error {}

function linkTo(href: string | undefined): Attributes {
  return href === undefined ? {} : { href, rel: "noopener noreferrer nofollow", target: "_blank" };
}

/** @returns an absolute address as a browser would read it; undefined for one that may not be followed */
function addressOf(text: string | undefined, schemes: readonly string[]): string | undefined {
  if (text === undefined || text.length > MAX_URL_CHARS || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  return schemes.includes(url.protocol) ? url.href : undefined;
}

function given(attributes: { [name: string]: string | undefined }): Attributes {
  const entries = Object.entries(attributes).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  );
  return Object.fromEntries(entries);
}
