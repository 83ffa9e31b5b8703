import { createHash } from "node:crypto";

type Button = { label: string; action: "unsubscribe" | "resubscribe"; token: string };

type Page = {
  status: number;
  title: string;
  text: string;
  button: Button | null;
  /** The token with which to offer the page of preferences; only on the page of the unsubscribe link. */
  preferences?: string;
};

// Text and buttons reach 7:1 against their grounds in both schemes (WCAG asks 4.5:1).
const STYLE = `
:root { color-scheme: light dark; --ground: #f4f5f7; --card: #ffffff; --text: #1c2128; --button: #1b4fa8; --label: #ffffff; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #12151a; --card: #1c2128; --text: #eceff3; --button: #a9c7ff; --label: #0d1b33; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--ground);
  color: var(--text); font: 1.0625rem/1.6 system-ui, sans-serif; }
main { width: 100%; max-width: 30rem; padding: 2rem 1.5rem; border-radius: 0.75rem; background: var(--card);
  overflow-wrap: anywhere; }
h1 { margin: 0 0 0.75rem; font-size: 1.5rem; line-height: 1.25; }
h2 { margin: 2rem 0 0; font-size: 1.125rem; line-height: 1.25; }
p { margin: 0; }
a { color: var(--button); }
.more { margin: 1.5rem 0 0; }
[role="status"] { margin: 0 0 1rem; padding: 0.5rem 0 0.5rem 0.75rem; border-left: 4px solid var(--button); }
fieldset { margin: 0; padding: 0; border: 0; }
legend { padding: 0; font-weight: 600; }
.topic { display: grid; grid-template-columns: auto 1fr; column-gap: 0.75rem; padding: 0.75rem 0; }
.topic p { grid-column: 2; }
.topic label { cursor: pointer; }
.topic input { width: 1.5rem; height: 1.5rem; margin: 0.1rem 0 0; accent-color: var(--button); }
form { margin: 1.5rem 0 0; }
button { min-height: 3rem; padding: 0.5rem 1.25rem; border: 0; border-radius: 0.5rem; background: var(--button);
  color: var(--label); font: inherit; font-weight: 600; cursor: pointer; }
button:focus-visible, input:focus-visible, a:focus-visible { outline: 3px solid var(--text); outline-offset: 3px; }
`;

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

const HEADERS = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy": `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  "Cache-Control": "no-store",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Robots-Tag": "noindex",
};

// Who reads these may have come from a chat: they speak of messages, whatever the channel.
export function unsubscribedPage(token: string): Response {
  return respond({
    status: 200,
    title: "You are unsubscribed",
    text: "We won’t send you these messages any more. If that was a mistake, you can undo it.",
    button: { label: "Undo: subscribe me again", action: "resubscribe", token },
    preferences: token,
  });
}

/** @param status 200, or 400 when the button answers a request that made no sense */
export function confirmPage(token: string, status: 200 | 400): Response {
  return respond({
    status,
    title: "Do you want to unsubscribe?",
    text: "Press the button, and we won’t send you these messages any more. Nothing has changed yet.",
    button: { label: "Unsubscribe", action: "unsubscribe", token },
    preferences: token,
  });
}

export function resubscribedPage(token: string): Response {
  return respond({
    status: 200,
    title: "You are subscribed again",
    text: "You will keep getting these messages.",
    button: { label: "Unsubscribe", action: "unsubscribe", token },
    preferences: token,
  });
}

/** For a request that is on our disk and takes effect when the database is back. */
export function keptPage(token: string, change: "unsubscribe" | "resubscribe"): Response {
  return change === "unsubscribe"
    ? respond({
        status: 200,
        title: "We have your request",
        text: "You asked to be unsubscribed. That is safely recorded, and takes effect as soon as a fault on our side is over, usually within minutes. If it was a mistake, you can undo it.",
        button: { label: "Undo: keep me subscribed", action: "resubscribe", token },
      })
    : respond({
        status: 200,
        title: "We have your request",
        text: "You asked to get these messages again. That is safely recorded, and takes effect as soon as a fault on our side is over, usually within minutes.",
        button: { label: "Unsubscribe", action: "unsubscribe", token },
      });
}

export function badLinkPage(): Response {
  return respond({
    status: 400,
    title: "This link is incomplete",
    text: "A part of it is missing or has been changed. Please open it from the message again, or copy it whole.",
    button: null,
  });
}

export function testMessagePage(): Response {
  return respond({
    status: 200,
    title: "This was a test message",
    text: "It belongs to no subscription, so nothing has changed.",
    button: null,
  });
}

/** For an email that was sent and is not there any more as it was. */
export function notShownPage(why: "contact_deleted" | "not_composed"): Response {
  return respond({
    status: why === "contact_deleted" ? 410 : 404,
    title: "This email can’t be shown any more",
    text:
      why === "contact_deleted"
        ? "It was written to somebody whose data have been deleted since. Your copy of it is not affected."
        : "Something it was made of is not there any more. Your copy of it is not affected.",
    button: null,
  });
}

/** For the choices of somebody whose data have been deleted; the address can be unsubscribed all the same. */
export function noPreferencesPage(token: string): Response {
  return respond({
    status: 410,
    title: "There is nothing to choose any more",
    text: "Your data have been deleted, and your choices with them. You can still make sure that nothing is sent to this address.",
    button: { label: "Unsubscribe from everything", action: "unsubscribe", token },
  });
}

export function tryLaterPage(): Response {
  return unavailable("We could not record your request just now. Please try again in a few minutes.");
}

/** For a page that was only to be looked at. */
export function cannotShowPage(): Response {
  return unavailable("We can’t show this page just now. Please try again in a few minutes.");
}

function unavailable(text: string): Response {
  const page = respond({ status: 503, title: "Please try again later", text, button: null });
  page.headers.set("Retry-After", "120");
  return page;
}

function respond({ status, title, text, button, preferences }: Page): Response {
  const body = [
    `<h1>${escapeHtml(title)}</h1>`,
    `<p>${escapeHtml(text)}</p>`,
    button === null ? "" : renderButton(button),
    preferences === undefined ? "" : preferencesLink(preferences),
  ];
  return htmlPage(status, title, body.join("\n"));
}

/** @param body what is in `main`: HTML */
export function htmlPage(status: number, title: string, body: string): Response {
  return new Response(render(title, body), { status, headers: HEADERS });
}

function render(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`;
}

/** The form's address is relative, so that it stays right behind a proxy that serves us under a path. */
export function renderButton({ label, action, token }: Button): string {
  return `<form method="post" action="?t=${escapeHtml(encodeURIComponent(token))}">
<button type="submit" name="action" value="${action}">${escapeHtml(label)}</button>
</form>`;
}

/** Relative too: from /api/tracking/unsubscribe to /api/preferences. */
function preferencesLink(token: string): string {
  const address = `../preferences?t=${escapeHtml(encodeURIComponent(token))}`;
  return `<p class="more"><a href="${address}">Choose which messages you get</a></p>`;
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
