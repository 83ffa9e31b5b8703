import { compile } from "html-to-text";

// Deeper than any layout of nested tables; without a limit, depth could exhaust the stack.
const MAX_DEPTH = 500;

const LINE = { leadingLineBreaks: 1, trailingLineBreaks: 1 };

/**
 * A converter from HTML to the text part of an email: links show their targets, images and what is hidden (as
 * preheaders are) are left out, lines are not wrapped because every mail program wraps them itself.
 * Compile once, convert often.
 */
export function compileHtmlToText(): (html: string) => string {
  return compile({
    wordwrap: false,
    limits: { maxDepth: MAX_DEPTH, ellipsis: "…" },
    selectors: [
      { selector: "a", options: { hideLinkHrefIfSameAsText: true, linkBrackets: ["(", ")"] } },
      { selector: "img", format: "skip" },
      { selector: "template", format: "skip" },
      { selector: "[hidden]", format: "skip" },
      { selector: '[style*="display:none"i]', format: "skip" },
      { selector: '[style*="display: none"i]', format: "skip" },
      ...["tr", "th", "td"].map((selector) => ({ selector, format: "block", options: LINE })),
      ...["h1", "h2", "h3", "h4", "h5", "h6"].map((selector) => ({
        selector,
        options: { uppercase: false },
      })),
    ],
  });
}
