import { escapeHtml, htmlPage, renderButton } from "./pages.ts";
import type { Preferences } from "./preferences-queries.ts";

/** What has just been done, for the page to say first. */
export type Done = "saved" | "unsubscribed" | "resubscribed" | null;

const DONE: Record<Exclude<Done, null>, string> = {
  saved: "Your choices are saved.",
  unsubscribed: "You are unsubscribed from all messages.",
  resubscribed: "You are subscribed again.",
};

/**
 * The topics somebody gets, and the button that ends it all. A form of plain HTML: it works without JavaScript and
 * with the keyboard, and says what has changed where screen readers begin.
 */
export function preferencesPage(token: string, preferences: Preferences, done: Done): Response {
  const { topics, isUnsubscribed } = preferences;
  const title = "Which messages do you want?";
  const parts = [
    `<h1>${title}</h1>`,
    done === null ? "" : `<p role="status">${DONE[done]}</p>`,
    isUnsubscribed ? `<p>${UNSUBSCRIBED}</p>${again(token)}` : "",
    topics.length === 0 ? "" : renderTopics(token, preferences),
    isUnsubscribed ? "" : `<h2>No messages at all</h2>\n${renderButton({ ...NOTHING, token })}`,
  ];
  const heard = done === null ? title : `${DONE[done]} ${title}`;
  return htmlPage(200, heard, parts.filter((part) => part !== "").join("\n"));
}

const UNSUBSCRIBED =
  "You are unsubscribed: nothing is sent to you, whatever is ticked below. Your choices count when you subscribe again.";
const CHOOSE =
  "Untick what you don’t want to get any more, and save. Messages that belong to none of these still come.";
const NOTHING = { label: "Unsubscribe from all", action: "unsubscribe" } as const;

function again(token: string): string {
  return renderButton({ label: "Subscribe me again", action: "resubscribe", token });
}

/** `shown` says what somebody had before them: of a topic that came later they said nothing. */
function renderTopics(token: string, { topics }: Preferences): string {
  const rows = topics.map(({ id, name, description, isLeft }, index) => {
    const about = description === "" ? "" : ` aria-describedby="about-${index}"`;
    return `<div class="topic">
<input type="checkbox" id="topic-${index}" name="topic" value="${id}"${isLeft ? "" : " checked"}${about}>
<label for="topic-${index}">${escapeHtml(name)}</label>
${description === "" ? "" : `<p id="about-${index}">${escapeHtml(description)}</p>\n`}</div>
<input type="hidden" name="shown" value="${id}">`;
  });
  return `<form method="post" action="?t=${escapeHtml(encodeURIComponent(token))}">
<p>${CHOOSE}</p>
<fieldset>
<legend>Topics</legend>
${rows.join("\n")}
</fieldset>
<button type="submit" name="action" value="save">Save my choices</button>
</form>`;
}
