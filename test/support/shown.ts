/** A message as a person sees it in a chat. */
export type Shown = {
  /** What there is to read, without any markup. */
  text: string;
  /** Whom or what it names so that they are told, or their names are filled in. */
  mentions: string[];
  links: { label: string; url: string }[];
  /** Everything that looks other than text: emphasis, headings, quotes, lists, emoji. */
  formats: string[];
};

export function nothingShown(): Shown {
  return { text: "", mentions: [], links: [], formats: [] };
}

/** Several texts of a message, one below the other. */
export function below(parts: readonly Shown[]): Shown {
  return {
    text: parts.map(({ text }) => text).join("\n"),
    mentions: parts.flatMap(({ mentions }) => mentions),
    links: parts.flatMap(({ links }) => links),
    formats: parts.flatMap(({ formats }) => formats),
  };
}
