import Bowser from "bowser";

/** What somebody reads on, or what stands in its place. */
export const PLATFORMS = [
  "iphone",
  "ipad",
  "android",
  "windows",
  "mac",
  "linux",
  "chromeos",
  "proxy",
  "bot",
  "other",
] as const;

export type Platform = (typeof PLATFORMS)[number];

/** What somebody reads with. */
export const CLIENTS = [
  "apple-mail",
  "apple-mail-privacy",
  "gmail",
  "yahoo",
  "outlook",
  "thunderbird",
  "chrome",
  "safari",
  "firefox",
  "edge",
  "opera",
  "samsung-internet",
  "bot",
  "other",
] as const;

export type Client = (typeof CLIENTS)[number];

export type Device = { platform: Platform; client: Client };

type DeviceRule = Device & { pattern: RegExp };

// Image proxies hide what is behind them, and their names would pass for a browser's.
const PROXIES: readonly DeviceRule[] = [
  { platform: "proxy", client: "gmail", pattern: /GoogleImageProxy|Edge\/12\.246 Mozilla\/5\.0$/i },
  { platform: "proxy", client: "yahoo", pattern: /Yahoo ?MailProxy/i },
  { platform: "proxy", client: "apple-mail-privacy", pattern: /^Mozilla\/5\.0$/ },
];

// Mail programs that bowser has no name for, or another's.
const MAIL_CLIENTS: readonly { client: Client; pattern: RegExp }[] = [
  { client: "outlook", pattern: /ms-office|MSOffice|Microsoft Office|Outlook/i },
  { client: "thunderbird", pattern: /Thunderbird/i },
  { client: "yahoo", pattern: /Yahoo ?Mobile ?Mail/i },
  // WebKit inside a program says nothing of Safari or a version: on Apple's systems that is Mail.
  {
    client: "apple-mail",
    pattern: /\((?:iPhone|iPad|Macintosh);.*AppleWebKit\/[\d.]+ \(KHTML, like Gecko\)(?: Mobile\/\w+)?$/,
  },
];

const OUTLOOK_SYSTEMS: readonly { platform: Platform; pattern: RegExp }[] = [
  { platform: "iphone", pattern: /iphone|Outlook-iOS/i },
  { platform: "mac", pattern: /MacOutlook/i },
];

const SYSTEMS: Record<string, Platform> = {
  Android: "android",
  Windows: "windows",
  macOS: "mac",
  Linux: "linux",
  "Chrome OS": "chromeos",
};

const BROWSERS: Record<string, Client> = {
  Chrome: "chrome",
  Chromium: "chrome",
  Safari: "safari",
  Firefox: "firefox",
  "Microsoft Edge": "edge",
  Opera: "opera",
  "Samsung Internet for Android": "samsung-internet",
};

// bowser takes 8 microseconds for a name. Strangers choose them, hence the bounds.
const MAX_CACHED_USER_AGENTS = 5000;
const MAX_MATCHED_CHARS = 512;
const byUserAgent = new Map<string, Device>();

/**
 * What a user agent says of itself, as far as people look at it in a report. Programs that only check links are
 * not told here: who made a hit is `bots.ts`'s to say.
 */
export function classifyDevice(userAgent: string): Device {
  const known = byUserAgent.get(userAgent);
  if (known !== undefined) return known;
  const device = readDevice(userAgent.slice(0, MAX_MATCHED_CHARS));
  if (byUserAgent.size >= MAX_CACHED_USER_AGENTS) byUserAgent.clear();
  byUserAgent.set(userAgent, device);
  return device;
}

function readDevice(userAgent: string): Device {
  const proxy = PROXIES.find(({ pattern }) => pattern.test(userAgent));
  if (proxy !== undefined) return { platform: proxy.platform, client: proxy.client };
  if (userAgent === "") return { platform: "other", client: "other" };
  const parsed = Bowser.getParser(userAgent);
  const mailClient = MAIL_CLIENTS.find(({ pattern }) => pattern.test(userAgent))?.client;
  return {
    platform: platformOf(userAgent, parsed.getOSName(), parsed.getPlatform().model ?? ""),
    client: mailClient ?? BROWSERS[parsed.getBrowserName()] ?? "other",
  };
}

function platformOf(userAgent: string, system: string, model: string): Platform {
  if (/^ipad$/i.test(model)) return "ipad";
  if (system === "iOS") return "iphone";
  return (
    SYSTEMS[system] ?? OUTLOOK_SYSTEMS.find(({ pattern }) => pattern.test(userAgent))?.platform ?? "other"
  );
}
