import type { FieldProblem } from "../errors.ts";
import { checkMarkup } from "../telegram/html.ts";
import { MAX_BUTTON_CHARS, MAX_CAPTION_CHARS, MAX_TEXT_CHARS } from "../telegram/limits.ts";
import { isTrackableUrl } from "../tracking/links.ts";
import { lineProblem, problem, textProblem } from "./problem.ts";
import type { TelegramMessageNode } from "./schema.ts";
import { isLiquid, markupOf } from "./telegram-markup.ts";

const NO_ADDRESS = "must be an http or https address without user name";

/** What is wrong with a Telegram message as it is written. */
export function telegramProblems(node: TelegramMessageNode, field: string): FieldProblem[] {
  const subject = `node "${node.id}"`;
  return [
    ...problem(
      `${field}.text`,
      `the text of ${subject}`,
      textProblem(node.text) ?? markupProblem(node.text, node.photo !== null),
    ),
    ...problem(
      `${field}.photo`,
      `the photo of ${subject}`,
      node.photo === null ? null : addressProblem(node.photo),
    ),
    ...node.buttons.flatMap((row, rowIndex) =>
      row.flatMap((button, index) => {
        const place = `${field}.buttons.${rowIndex}.${index}`;
        const name = `the button ${index + 1} in row ${rowIndex + 1} of ${subject}`;
        return [
          ...problem(`${place}.text`, name, labelProblem(button.text)),
          ...problem(`${place}.url`, name, button.url === undefined ? null : buttonProblem(button.url)),
        ];
      }),
    ),
  ];
}

/**
 * Why Telegram would not take a text made from this template, as far as that can be told before it is rendered.
 * @param isCaption it stands below a photo
 */
export function markupProblem(text: string, isCaption: boolean): string | null {
  const markup = markupOf(text);
  if (markup === null) return null;
  const checked = checkMarkup(markup.text, { isWhole: !markup.isConditional });
  if (!checked.ok) return checked.reason;
  const max = isCaption ? MAX_CAPTION_CHARS : MAX_TEXT_CHARS;
  if (markup.isConditional || checked.length <= max) return null;
  return `has ${checked.length} characters; ${isCaption ? "below a photo there are" : "a message has"} at most ${max}`;
}

function labelProblem(label: string): string | null {
  const reason = lineProblem(label);
  if (reason !== null || isLiquid(label) || label.trim().length <= MAX_BUTTON_CHARS) return reason;
  return `must have at most ${MAX_BUTTON_CHARS} characters`;
}

function buttonProblem(url: string): string | null {
  const reason = addressProblem(url);
  return reason === null ? null : `has a url that ${reason}`;
}

/** Of an address that Liquid writes, what stands before is all that is known. */
function addressProblem(url: string): string | null {
  const reason = textProblem(url);
  if (reason !== null) return reason;
  if (!isLiquid(url)) return isTrackableUrl(url.trim()) ? null : NO_ADDRESS;
  const start = url.slice(0, url.search(/\{[{%]/)).trim();
  return start === "" || /^https?:\/\//i.test(start) ? null : NO_ADDRESS;
}
