import { Parser } from "htmlparser2";
import { GMAIL_CLIPS_BYTES } from "../messages/compose.ts";
import { type LinkRule, linkProblem } from "./lint-link.ts";
import { lintSubject, type SubjectRule } from "./lint-subject.ts";
import type { Severity } from "./severity.ts";

/** `line` is one of the HTML, from 1; null when it is about no line of it. */
export type Finding = { rule: LintRule; severity: Severity; message: string; line: number | null };

export type LintRule =
  | LinkRule
  | SubjectRule
  | "template"
  | "structure"
  | "alt-missing"
  | "element-unsupported"
  | "liquid-left"
  | "size"
  | "image-only"
  | "unsubscribe-missing"
  | "text-missing"
  | "title-missing"
  | "lang-missing"
  | "preheader-missing";

export type LintInput = {
  html: string;
  subject: string;
  /** Null: it will be made from the HTML. */
  text: string | null;
  /** Whether there is Liquid in it still, whose values nobody knows; else what looks like Liquid is a mistake. */
  isTemplate: boolean;
  /** Whether an `href` is the unsubscribe link; null when nobody has to look for one. */
  isUnsubscribeLink: ((href: string) => boolean) | null;
};

const MAX_FINDINGS = 200;
const MAX_OPEN_ELEMENTS = 1000; // as rewriteHtml takes them; parsers get slow beyond
/** An email with images and fewer characters than this says nothing where images are off. */
const FEW_CHARS = 20;
const LIQUID = /\{\{|\}\}|\{%|%\}/;
const UNSUPPORTED = new Set(["script", "iframe", "object", "embed", "form", "video", "audio"]);

class TooDeep extends Error {}

/**
 * What is wrong with an email, or better otherwise, as far as its own text tells: links are judged by their form and
 * never fetched.
 */
export function lintEmail(email: LintInput): Finding[] {
  const bytes = Buffer.byteLength(email.html);
  const size = `The HTML is ${Math.ceil(bytes / 1000)} kB: Gmail cuts off at about 102 kB, and with it footer and open pixel.`;
  const findings: Finding[] = [
    ...lintSubject(email.subject, email.isTemplate).map((finding) => ({ ...finding, line: null })),
    ...(email.text?.trim() === "" ? [{ ...TEXT_MISSING, line: null }] : []),
    ...(bytes > GMAIL_CLIPS_BYTES ? [finding("size", "warning", size)] : []),
    ...leftInText(email),
    ...lintHtml(email),
  ];
  return findings.slice(0, MAX_FINDINGS);
}

const TEXT_MISSING = {
  rule: "text-missing",
  severity: "warning",
  message: "The text part is empty: programs that show no HTML show nothing, and spam filters count it.",
} as const;

function finding(rule: LintRule, severity: Severity, message: string, line: number | null = null): Finding {
  return { rule, severity, message, line };
}

function leftInText({ subject, text, isTemplate }: LintInput): Finding[] {
  const isLeft = !isTemplate && [subject, text ?? ""].some((part) => LIQUID.test(part));
  return isLeft
    ? [finding("liquid-left", "error", "Subject or text still have braces of Liquid in them.")]
    : [];
}

function lintHtml(email: LintInput): Finding[] {
  const reader = new Reader(email);
  try {
    reader.read();
  } catch (error) {
    if (!(error instanceof TooDeep)) throw error;
    const message = `The HTML leaves more than ${MAX_OPEN_ELEMENTS} elements open.`;
    return [finding("structure", "error", message)];
  }
  return [...reader.findings, ...reader.missing()];
}

/** Reads the HTML once, from the beginning to the end. */
class Reader {
  readonly findings: Finding[] = [];
  private readonly email: LintInput;
  private readonly parser: Parser;
  private line = 1;
  private counted = 0;
  private open: { name: string; isHidden: boolean }[] = [];
  private images = 0;
  private visibleChars = 0;
  private title = "";
  private lang = "";
  private hasPreheader = false;
  private hasUnsubscribeLink = false;

  constructor(email: LintInput) {
    this.email = email;
    this.parser = new Parser({
      onopentag: (name, attributes) => this.opened(name, attributes),
      onclosetag: () => this.open.pop(),
      ontext: (text) => this.saw(text),
    });
  }

  read(): void {
    this.parser.end(this.email.html);
  }

  /** What the document does not have. */
  missing(): Finding[] {
    const { isUnsubscribeLink } = this.email;
    const isImageOnly = this.images > 0 && this.visibleChars < FEW_CHARS;
    const missing: [boolean, LintRule, Severity, string][] = [
      [
        isUnsubscribeLink !== null && !this.hasUnsubscribeLink,
        "unsubscribe-missing",
        "warning",
        "There is no unsubscribe link to be seen: marketing needs one by law. Put {{ unsubscribeUrl }} into a link or turn unsubscribeLink on.",
      ],
      [
        isImageOnly,
        "image-only",
        "warning",
        "It is images and next to no text: many see nothing, and spam filters count it.",
      ],
      [
        this.title.trim() === "",
        "title-missing",
        "info",
        "There is no <title>: screen readers and browsers name the page by it.",
      ],
      [
        !/^(?!und\b)[a-z]/i.test(this.lang),
        "lang-missing",
        "info",
        'The language is not said (lang="en" on html or mjml): screen readers need it.',
      ],
      [
        !this.hasPreheader,
        "preheader-missing",
        "info",
        "There is no preheader (hidden text at the top, mj-preview): inboxes show the first words they find.",
      ],
    ];
    return missing
      .filter(([is]) => is)
      .map(([, rule, severity, message]) => finding(rule, severity, message));
  }

  private opened(name: string, attributes: { [name: string]: string }): void {
    const isHidden = /display\s*:\s*none/i.test(attributes.style ?? "") || "hidden" in attributes;
    this.open.push({ name, isHidden });
    if (this.open.length > MAX_OPEN_ELEMENTS) throw new TooDeep();
    if (name === "html") this.lang = attributes.lang ?? "";
    if (name === "img") this.image(attributes);
    if (name === "a" || name === "area") this.link(name, attributes);
    if (UNSUPPORTED.has(name))
      this.add("element-unsupported", "warning", `<${name}> does not work in most mail programs.`);
    if (Object.values(attributes).some((value) => this.isLeft(value))) this.addLeft();
  }

  private image({ src = "", alt }: { [name: string]: string }): void {
    this.images += 1;
    if (alt === undefined)
      this.add("alt-missing", "warning", 'The image has no alt: say what it shows, or alt="" if nothing.');
    this.check("image", src);
  }

  private link(name: string, { href, id, name: anchor }: { [name: string]: string }): void {
    if (href === undefined) {
      if (id === undefined && anchor === undefined)
        this.add("link-empty", "warning", `The <${name}> has no href and leads nowhere.`);
      return;
    }
    if (this.email.isUnsubscribeLink?.(href) === true) this.hasUnsubscribeLink = true;
    this.check("link", href);
  }

  private check(what: "link" | "image", address: string): void {
    const problem = linkProblem(what, address, this.email.isTemplate);
    if (problem !== null) this.add(problem.rule, problem.severity, problem.message);
  }

  private saw(text: string): void {
    const innermost = this.open.at(-1)?.name;
    if (innermost === "title") this.title += text;
    if (innermost === "style" || innermost === "script" || innermost === "title") return;
    if (this.isLeft(text)) this.addLeft(text.slice(0, text.search(LIQUID)).split("\n").length - 1);
    const chars = text.replace(/\s+/g, " ").trim().length;
    if (this.open.some(({ isHidden }) => isHidden))
      this.hasPreheader ||= chars > 0 && this.visibleChars === 0;
    else this.visibleChars += chars;
  }

  private isLeft(text: string): boolean {
    return !this.email.isTemplate && LIQUID.test(text);
  }

  private addLeft(linesFurther = 0): void {
    const message = "Braces of Liquid are still there: is one of a pair missing?";
    this.add("liquid-left", "error", message, linesFurther);
  }

  private add(rule: LintRule, severity: Severity, message: string, linesFurther = 0): void {
    if (this.findings.length >= MAX_FINDINGS) return;
    const { startIndex } = this.parser;
    this.line += this.email.html.slice(this.counted, startIndex).split("\n").length - 1;
    this.counted = Math.max(this.counted, startIndex);
    this.findings.push(finding(rule, severity, message, this.line + linesFurther));
  }
}
