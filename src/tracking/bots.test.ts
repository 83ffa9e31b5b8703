import { describe, expect, test } from "bun:test";
import type { Agent } from "../events/event.ts";
import { classify } from "./bots.ts";

const CHROME =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Safari/537.36";

function by(userAgent: string | null, headers: Record<string, string> = {}, method = "GET") {
  return classify({ method, userAgent, headers: new Headers(headers) });
}

describe("a user agent decides", () => {
  test.each<[string, Agent, string]>([
    ["Mozilla/5.0", "prefetch", "apple-mail-privacy"],
    [
      "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
      "proxy",
      "gmail-image-proxy",
    ],
    [
      "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
      "proxy",
      "yahoo-image-proxy",
    ],
    ["Mozilla/5.0 (compatible; Yahoo Mailproxy)", "proxy", "yahoo-image-proxy"],
    [
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0",
      "prefetch",
      "gmail-prefetch",
    ],
    [
      "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; .NET4.0C; .NET4.0E; Microsoft Outlook 16.0.4266; ms-office; MSOffice 16)",
      "human",
      "mail-client",
    ],
    ["Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)", "human", "mail-client"],
    [
      "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
      "human",
      "no-rule",
    ],
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
      "human",
      "no-rule",
    ],
    ["Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.9.0", "human", "mail-client"],
    [
      "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36",
      "scanner",
      "headless-browser",
    ],
    ["Mozilla/5.0 (compatible; BarracudaSentinel/1.0)", "scanner", "security-scanner"],
    [
      "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/534+ (KHTML, like Gecko) BingPreview/1.0b",
      "scanner",
      "link-preview",
    ],
    ["SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com", "scanner", "link-preview"],
    ["Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "scanner", "link-preview"],
    ["TelegramBot (like TwitterBot)", "scanner", "link-preview"],
    ["WhatsApp/2.23.20.0", "scanner", "link-preview"],
    ["facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "scanner", "link-preview"],
    ["Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "scanner", "isbot"],
    ["curl/8.4.0", "scanner", "isbot"],
    ["python-requests/2.31.0", "scanner", "isbot"],
    ["", "scanner", "no-user-agent"],
    [CHROME, "human", "no-rule"],
    ["Microsoft Office Existence Discovery", "scanner", "security-scanner"],
    ["Outlook-Android/2.0", "human", "mail-client"],
    ["eM Client/9.2", "human", "mail-client"],
  ])("%s", (userAgent, agent, rule) => {
    expect(by(userAgent)).toEqual({ agent, rule });
    expect(by(userAgent)).toEqual({ agent, rule });
  });

  test("no user agent is a scanner's", () => {
    expect(by(null)).toEqual({ agent: "scanner", rule: "no-user-agent" });
    expect(by("   ")).toEqual({ agent: "scanner", rule: "no-user-agent" });
  });

  test("a flood of made-up names changes no answer", () => {
    for (let i = 0; i < 5000; i++) expect(by(`${CHROME} Made/${i}`).agent).toBe("human");
    expect(by("Mozilla/5.0").rule).toBe("apple-mail-privacy");
    expect(by(`${CHROME} ${"x".repeat(100_000)}`).agent).toBe("human");
  });
});

describe("a speculative load is a prefetch, whatever the browser", () => {
  test.each([
    ["Sec-Purpose", "prefetch"],
    ["Sec-Purpose", "prefetch;prerender"],
    ["Sec-Purpose", "prefetch;anonymous-client-ip"],
    ["Purpose", "prefetch"],
    ["Purpose", "Prefetch"],
    ["X-Moz", "prefetch"],
  ])("%s: %s", (name, value) => {
    expect(by(CHROME, { [name]: value })).toEqual({ agent: "prefetch", rule: "prefetch-header" });
  });

  test("other purposes are not", () => {
    expect(by(CHROME, { "Sec-Purpose": "no-prefetch" }).agent).toBe("human");
    expect(by(CHROME, { Purpose: "" }).agent).toBe("human");
  });
});

test("a method that nobody's click makes is a scanner's", () => {
  for (const method of ["HEAD", "OPTIONS", "PROPFIND"]) {
    expect(by(CHROME, {}, method)).toEqual({ agent: "scanner", rule: "method" });
  }
  expect(by(CHROME, {}, "POST").agent).toBe("human");
});
