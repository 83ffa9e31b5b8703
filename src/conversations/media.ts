const IMAGES: { type: string; isOne: (bytes: Buffer) => boolean }[] = [
  { type: "image/jpeg", isOne: (bytes) => startsWith(bytes, [0xff, 0xd8, 0xff]) },
  {
    type: "image/png",
    isOne: (bytes) => startsWith(bytes, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
  },
  { type: "image/gif", isOne: (bytes) => /^GIF8[79]a$/.test(ascii(bytes, 0, 6)) },
  {
    type: "image/webp",
    isOne: (bytes) => ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 12) === "WEBP",
  },
];
const MAX_NAME_CHARS = 120;
/** Also those that turn the reading around, so that an extension can't be made to look like another. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/**
 * The headers that somebody's file can be answered with: pictures are shown, by what is in them and not by what they
 * are called; all else is something to save, and nothing runs in our name.
 * @param names what it is called, the best first; those that are empty count for nothing
 */
export function mediaHeaders(bytes: Buffer, names: readonly (string | null)[]): { [name: string]: string } {
  const image = IMAGES.find(({ isOne }) => isOne(bytes));
  const name = names.map((one) => cleanName(one ?? "")).find((one) => one !== "") ?? "file";
  const kind = image === undefined ? "attachment" : "inline";
  return {
    "Content-Type": image?.type ?? "application/octet-stream",
    "Content-Length": String(bytes.length),
    "Content-Disposition": `${kind}; filename="${toAscii(name)}"; filename*=UTF-8''${toExtended(name)}`,
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=86400",
  };
}

function cleanName(name: string): string {
  const clean = name.toWellFormed().replaceAll(UNPRINTABLE, "").replaceAll(/[/\\]/g, "_").trim();
  return clean.slice(-MAX_NAME_CHARS).toWellFormed().replace(/^\.+/, "");
}

/** For whoever does not read the other form (RFC 6266, appendix D). */
function toAscii(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9._ ()-]/g, "_");
}

/** RFC 8187: what may stand as it is there is a little less than in a URL. */
function toExtended(name: string): string {
  return encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function startsWith(bytes: Buffer, given: readonly number[]): boolean {
  return bytes.subarray(0, given.length).equals(Buffer.from(given));
}

function ascii(bytes: Buffer, from: number, to: number): string {
  return bytes.subarray(from, to).toString("latin1");
}
