import { html, raw } from "hono/html";
import { STYLE } from "./style.ts";

/** The page at /: where to go from here. */
export async function renderLanding(publicUrl: string): Promise<string> {
  const page = await html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>EDGR</title>
<style>${raw(STYLE)}</style>
</head>
<body>
<main class="layout">
<div>
<h1>EDGR is running</h1>
<p>Campaigns by email and Telegram; what recipients do moves the campaign.</p>
<ul>
<li><a href="/docs">API documentation</a></li>
<li><a href="/openapi.json">OpenAPI document</a></li>
</ul>
<p>Make an API key with <code>npx edgr api-key create</code>, then try it:</p>
<pre tabindex="0"><code>curl ${publicUrl}/api/v1/customer -H "Authorization: Bearer $EDGR_API_KEY"</code></pre>
</div>
</main>
</body>
</html>
`;
  return String(page);
}
