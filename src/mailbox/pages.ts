import { Hono } from "hono";
import { html, raw } from "hono/html";
import type { Bindings } from "../http/env.ts";
import type { ReceivedMail } from "./smtp.ts";

const STYLE = `
:root { color-scheme: light dark; --ground: #f4f5f7; --card: #fff; --text: #1c2128; --faint: #57606a; --link: #1b4fa8; --line: #d0d7de; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #12151a; --card: #1c2128; --text: #eceff3; --faint: #a5afbb; --link: #a9c7ff; --line: #3b434d; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem; background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: 0 0 1rem; }
a { color: var(--link); }
a:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
ul { list-style: none; margin: 0; padding: 0; }
li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; margin-bottom: .5rem; }
li p, dl { margin: 0; color: var(--faint); }
dl { display: grid; grid-template-columns: auto 1fr; gap: .1rem 1rem; margin-bottom: 1rem; }
dd { margin: 0; color: var(--text); }
iframe { width: 100%; height: 60vh; border: 1px solid var(--line); border-radius: .5rem; background: #fff; }
pre { white-space: pre-wrap; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; }
`;

const LIST_REFRESH_S = 3;

/** The mailbox as a web page: a list that renews itself, and each mail as its reader would see it. */
export function mailboxPages(mails: () => readonly ReceivedMail[]): Hono<{ Bindings: Bindings }> {
  const app = new Hono<{ Bindings: Bindings }>();
  app.get("/", (c) => c.html(list(mails())));
  app.get("/:id{[0-9]+}", (c) => {
    const mail = mails().find(({ id }) => String(id) === c.req.param("id"));
    return mail === undefined ? c.html(gone(), 404) : c.html(show(mail));
  });
  return app;
}

function list(mails: readonly ReceivedMail[]) {
  const items = mails.map(
    (mail) => html`<li><a href="/${mail.id}">${mail.subject || "(no subject)"}</a>
<p>to ${mail.to}, ${mail.at.toLocaleTimeString("en")}</p></li>`,
  );
  const body =
    mails.length === 0 ? html`<p>No mail yet. It appears here by itself.</p>` : html`<ul>${items}</ul>`;
  const refresh = html`<meta http-equiv="refresh" content="${LIST_REFRESH_S}">`;
  return page("Mailbox", html`<h1>Mailbox</h1>${body}`, refresh);
}

// The mail is a stranger's document: it may show images and open links in a tab of their own, and run nothing.
function show(mail: ReceivedMail) {
  const document = `<base target="_blank">${mail.html}`;
  const content =
    mail.html === ""
      ? html`<pre>${mail.text}</pre>`
      : html`<iframe title="The email" sandbox="allow-popups allow-popups-to-escape-sandbox" srcdoc="${document}"></iframe>
<h2>Text part</h2><pre>${mail.text}</pre>`;
  const body = html`<p><a href="/">All mail</a></p><h1>${mail.subject}</h1>
<dl><dt>From</dt><dd>${mail.from}</dd><dt>To</dt><dd>${mail.to}</dd></dl>${content}`;
  return page(mail.subject, body, html``);
}

function gone() {
  return page("Gone", html`<h1>This mail is gone</h1><p><a href="/">All mail</a></p>`, html``);
}

type Html = ReturnType<typeof html>;

function page(title: string, body: Html, head: Html) {
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">${head}
<title>${title}</title><style>${raw(STYLE)}</style></head><body><main>${body}</main></body></html>`;
}
