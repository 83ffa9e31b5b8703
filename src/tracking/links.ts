/** The paths of the public edge; `token` goes in `t`. */
export const PIXEL_PATH = "/api/tracking/pixel.gif";
export const CLICK_PATH = "/api/tracking/click";
export const UNSUBSCRIBE_PATH = "/api/tracking/unsubscribe";
export const PREFERENCES_PATH = "/api/preferences";
export const VIEW_PATH = "/api/view";

/** In UTF-16 units. What is longer is not tracked: mail gateways and proxies cut links that grow beyond this. */
export const MAX_TRACKED_URL_CHARS = 4096;

// A UTF-16 unit takes at most three bytes of UTF-8, and three bytes take four characters.
const MAX_ENCODED_CHARS = MAX_TRACKED_URL_CHARS * 4;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function pixelUrl(publicUrl: string, token: string): string {
  return `${publicUrl}${PIXEL_PATH}?t=${token}`;
}

/** @param token one whose `urlDigest` is that of `url` */
export function clickUrl(publicUrl: string, token: string, url: string): string {
  return `${publicUrl}${CLICK_PATH}?t=${token}&url=${Buffer.from(url).toString("base64url")}`;
}

export function unsubscribeUrl(publicUrl: string, token: string): string {
  return `${publicUrl}${UNSUBSCRIBE_PATH}?t=${token}`;
}

/** @param token as for `unsubscribeUrl`: one token opens all that a recipient can do with a message */
export function preferencesUrl(publicUrl: string, token: string): string {
  return `${publicUrl}${PREFERENCES_PATH}?t=${token}`;
}

/** @param token as for `unsubscribeUrl` */
export function viewInBrowserUrl(publicUrl: string, token: string): string {
  return `${publicUrl}${VIEW_PATH}?t=${token}`;
}

/**
 * Whether a click on `url` may go through us: an absolute http or https URL of a bearable length, without the
 * control characters that URL parsers drop in silence and without a user name before the host, which makes a
 * link look like it leads elsewhere. Other links are left in the email as they are.
 */
export function isTrackableUrl(url: string): boolean {
  if (url.length > MAX_TRACKED_URL_CHARS || !/^https?:\/\/[^/\\]/i.test(url) || /\p{Cc}/u.test(url))
    return false;
  const parsed = URL.parse(url);
  return parsed !== null && parsed.username === "" && parsed.password === "";
}

/**
 * The destination that `clickUrl` encoded, as it was written in the email. Null for what is not canonical
 * base64url of valid UTF-8, or not a trackable URL.
 */
export function decodeClickUrl(encoded: string): string | null {
  if (encoded.length > MAX_ENCODED_CHARS) return null;
  const bytes = Buffer.from(encoded, "base64url");
  if (bytes.toString("base64url") !== encoded) return null;
  const url = decodeUtf8(bytes);
  return url !== null && isTrackableUrl(url) ? url : null;
}

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}
