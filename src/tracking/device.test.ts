import { describe, expect, test } from "bun:test";
import { CLIENTS, classifyDevice, PLATFORMS } from "./device.ts";

const APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)";
const CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0";

const known: [userAgent: string, platform: string, client: string][] = [
  [`Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) ${APPLE} Mobile/15E148`, "iphone", "apple-mail"],
  [
    `Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) ${APPLE} Version/17.1 Mobile/15E148 Safari/604.1`,
    "iphone",
    "safari",
  ],
  [
    `Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) ${APPLE} Version/16.6 Mobile/15E148 Safari/604.1`,
    "ipad",
    "safari",
  ],
  [`Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) ${APPLE}`, "mac", "apple-mail"],
  [
    `Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) ${APPLE} CriOS/119.0.6045.109 Mobile/15E148 Safari/604.1`,
    "iphone",
    "chrome",
  ],
  [`Mozilla/5.0 (Linux; Android 13; SM-G991B) ${CHROME} Mobile Safari/537.36`, "android", "chrome"],
  [
    "Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-G991B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/23.0 Chrome/115.0.0.0 Mobile Safari/537.36",
    "android",
    "samsung-internet",
  ],
  [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${CHROME} Safari/537.36`, "windows", "chrome"],
  [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${CHROME} Safari/537.36 Edg/120.0.0.0`, "windows", "edge"],
  [`Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) ${CHROME} Safari/537.36`, "chromeos", "chrome"],
  ["Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0", "linux", "firefox"],
  ["Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.4.1", "linux", "thunderbird"],
  ["Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.12026; Pro)", "windows", "outlook"],
  ["MacOutlook/16.78.23100802 (Intelx64 Mac OS X Version 14.1)", "mac", "outlook"],
  ["Outlook-iOS/723.4027091.prod.iphone (4.28.0)", "iphone", "outlook"],
  [
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "proxy",
    "gmail",
  ],
  ["YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "proxy", "yahoo"],
  ["Mozilla/5.0", "proxy", "apple-mail-privacy"],
  ["curl/8.0", "other", "other"],
  ["", "other", "other"],
];

describe("a device", () => {
  test.each(known)("%s is told", (userAgent, platform, client) => {
    expect(classifyDevice(userAgent)).toMatchObject({ platform, client });
  });

  test("has a name for whatever strangers send, however much of it", () => {
    for (let number = 0; number < 6_000; number += 1) {
      const { platform, client } = classifyDevice(`${"(".repeat(number % 700)} Gecko/${number}`);
      expect([PLATFORMS.includes(platform), CLIENTS.includes(client)]).toEqual([true, true]);
    }
  });
});
