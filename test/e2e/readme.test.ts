import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { findPort } from "../../src/http/server.ts";
import { launchEdgr } from "../support/edgr-process.ts";
import { until, useInstallation } from "../support/installation.ts";

const ROOT = path.join(import.meta.dirname, "../..");
const BROWSER = { "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0" };

const installation = useInstallation();

/** The README's block of commands, for these ports instead of those it prints. */
function commands(ports: { http: string; smtp: number }): string {
  const readme = readFileSync(path.join(ROOT, "README.md"), "utf8");
  const block = /<!-- tested: .*?-->\n```sh\n([\s\S]*?)```/.exec(readme)?.[1];
  if (block === undefined) throw new Error("the README has no tested block");
  return block.replaceAll("http://localhost:3000", ports.http).replaceAll("2525", String(ports.smtp));
}

function shell(script: string): Promise<{ code: number | null; output: string }> {
  const child = spawn("bash", ["-euo", "pipefail", "-c", script], {
    cwd: ROOT,
    env: { ...process.env, ...installation.env() },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      output += chunk;
    });
  }
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, output })));
}

test("who follows the README sends, opens and clicks an email, and sees it counted", async () => {
  const edgr = await installation.start();
  const smtp = await findPort({ host: "127.0.0.1", port: 0 });
  const http = await findPort({ host: "127.0.0.1", port: 0 });
  const ports = ["--smtp-port", String(smtp), "--http-port", String(http)];
  const mailbox = launchEdgr(["mailbox", ...ports], { env: installation.env() });
  await until(async () => mailbox.output().includes("shows up at"));
  try {
    const show = async (number: number) => (await fetch(`http://127.0.0.1:${http}/${number}`)).text();
    const script = commands({ http: edgr.url, smtp });
    const followed = await shell(`${script}\necho "CAMPAIGN $CAMPAIGN $EDGR_API_KEY"`);
    expect([followed.code, followed.output]).toEqual([0, expect.stringContaining("CAMPAIGN")]);
    const [, campaign, key] = /CAMPAIGN (\S+) (\S+)/.exec(followed.output) ?? [];

    await until(async () => (await show(1)).includes("Hi Ann"));
    // The mail stands in an attribute of the page, so its own quotes and ampersands are escaped once more.
    const page = (await show(1)).replaceAll("&amp;", "&").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
    const pixel = /src="([^"]*pixel\.gif[^"]*)"/.exec(page)?.[1] ?? "";
    const click = /href="([^"]*\/click\?[^"]*)"/.exec(page)?.[1] ?? "";
    expect((await fetch(pixel, { headers: BROWSER })).status).toBe(200);
    await until(async () => (await show(2)).includes("You opened it"));
    const clicked = await fetch(click, { headers: BROWSER, redirect: "manual" });
    expect(clicked.headers.get("Location")).toBe("https://example.com/buy");

    const analytics = async () => {
      const url = `${edgr.url}/api/v1/campaigns/${campaign}/analytics`;
      return (await fetch(url, { headers: { Authorization: `Bearer ${key}` } })).json();
    };
    await until(async () => (await analytics()).nodes[0].clicked.total > 0);
    const { nodes, edges } = await analytics();
    expect(nodes[0]).toMatchObject({
      sent: 1,
      opened: { total: 1, human: 1 },
      clicked: { total: 1, human: 1 },
    });
    expect(edges[0]).toMatchObject({ edgeId: "e1", fired: 1 });
  } finally {
    mailbox.child.kill("SIGTERM");
    await mailbox.ended;
  }
}, 120_000);
