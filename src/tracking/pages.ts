import { createHash } from "node:crypto";

type Button = { label: string; action: "unsubscribe" | "resubscribe"; token: string };

type Page = { status: number; title: string; text: string; button: Button | null };

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
p { margin: 0; }
form { margin: 1.5rem 0 0; }
button { min-height: 3rem; padding: 0.5rem 1.25rem; border: 0; border-radius: 0.5rem; background: var(--button);
  color: var(--label); font: inherit; font-weight: 600; cursor: pointer; }
button:focus-visible { outline: 3px solid var(--text); outline-offset: 3px; }
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

export function unsubscribedPage(token: string): Response {
  return respond({
    status: 200,
    title: "You are unsubscribed",
    text: "We won’t send you these emails any more. If that was a mistake, you can undo it.",
    button: { label: "Undo: subscribe me again", action: "resubscribe", token },
  });
}

/** @param status 200, or 400 when the button answers a request that made no sense */
export function confirmPage(token: string, status: 200 | 400): Response {
  return respond({
    status,
    title: "Do you want to unsubscribe?",
    text: "Press the button, and we won’t send you these emails any more. Nothing has changed yet.",
    button: { label: "Unsubscribe", action: "unsubscribe", token },
  });
}

export function resubscribedPage(token: string): Response {
  return respond({
    status: 200,
    title: "You are subscribed again",
    text: "You will keep getting these emails.",
    button: { label: "Unsubscribe", action: "unsubscribe", token },
  });
}

export function badLinkPage(): Response {
  return respond({
    status: 400,
    title: "This link is incomplete",
    text: "A part of it is missing or has been changed. Please open it from the email again, or copy it whole.",
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

export function tryLaterPage(): Response {
  const page = respond({
    status: 503,
    title: "Please try again later",
    text: "We could not do this just now, and nothing has changed. Please try again in a few minutes.",
    button: null,
  });
  page.headers.set("Retry-After", "120");
  return page;
}

function respond(page: Page): Response {
  return new Response(render(page), { status: page.status, headers: HEADERS });
}

function render({ title, text, button }: Page): string {
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
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(text)}</p>
${button === null ? "" : renderButton(button)}</main>
</body>
</html>
`;
}

/** The form's address is relative, so that it stays right behind a proxy that serves us under a path. */
function renderButton({ label, action, token }: Button): string {
  return `<form method="post" action="?t=${escapeHtml(encodeURIComponent(token))}">
<button type="submit" name="action" value="${action}">${escapeHtml(label)}</button>
</form>
`;
}

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
