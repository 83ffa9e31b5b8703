import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { clickUrl, decodeClickUrl, isTrackableUrl, pixelUrl, unsubscribeUrl } from "./links.ts";

const encode = (url: string) => Buffer.from(url).toString("base64url");

test("the three links are those of the public edge", () => {
  expect(pixelUrl("https://e.example", "a.b.c")).toBe("https://e.example/api/tracking/pixel.gif?t=a.b.c");
  expect(unsubscribeUrl("https://e.example", "a.b.c")).toBe(
    "https://e.example/api/tracking/unsubscribe?t=a.b.c",
  );
  expect(clickUrl("https://e.example/edgr", "a.b.c", "https://shop.example/é")).toBe(
    `https://e.example/edgr/api/tracking/click?t=a.b.c&url=${encode("https://shop.example/é")}`,
  );
});

test("a destination comes back byte for byte", () => {
  const urls = fc.oneof(
    fc.webUrl({ withQueryParameters: true, withFragments: true }),
    fc.constantFrom(
      "https://example.com/%7Euser?a=1&b=2+3#é",
      "http://münchen.example/straße?q=ü",
      "https://example.com:8443/😀",
      "HTTPS://EXAMPLE.COM",
    ),
  );
  fc.assert(
    fc.property(urls, (url) => {
      const link = new URL(clickUrl("https://e.example", "a.b.c", url));
      expect(decodeClickUrl(link.searchParams.get("url") ?? "")).toBe(url);
    }),
  );
});

describe("a destination is refused", () => {
  test.each([
    ["javascript:", "javascript:alert(1)"],
    ["data:", "data:text/html,x"],
    ["mailto:", "mailto:ann@example.com"],
    ["another scheme", "ftp://example.com/"],
    ["no scheme", "//example.com/"],
    ["a relative path", "/buy"],
    ["no slashes", "https:example.com"],
    ["three slashes", "https:///example.com"],
    ["backslashes", "https:\\\\example.com"],
    ["no host", "https://"],
    ["a port out of range", "https://example.com:99999/"],
    ["a user before the host", "https://bank.example@evil.example/"],
    ["a user and a password", "https://a:b@example.com/"],
    ["a line break", "https://example.com/\r\nSet-Cookie: a=b"],
    ["a tab that parsers drop", "https://exa\tmple.com/"],
    ["a NUL", "https://example.com/\0"],
    ["a C1 control", "https://example.com/\u0085"],
    ["a leading space", " https://example.com/"],
    ["more than 4096 characters", `https://example.com/${"a".repeat(4096)}`],
    ["nothing", ""],
  ])("with %s", (_name, url) => {
    expect(isTrackableUrl(url)).toBe(false);
    expect(decodeClickUrl(encode(url))).toBeNull();
  });

  test("when its encoding is not canonical base64url", () => {
    const encoded = encode("https://example.com/a");
    expect(decodeClickUrl(encoded)).toBe("https://example.com/a");
    for (const other of [`${encoded}=`, ` ${encoded}`, `${encoded}\0`, `${encoded}A`, `${encoded}!`]) {
      expect(decodeClickUrl(other)).toBeNull();
    }
    expect(decodeClickUrl(Buffer.from("https://example.com/?>~").toString("base64"))).toBeNull();
    expect(decodeClickUrl("A".repeat(1_000_000))).toBeNull();
  });

  test("when its bytes are not UTF-8", () => {
    const bytes = Buffer.concat([Buffer.from("https://example.com/"), Buffer.from([0xc0, 0xaf])]);
    expect(decodeClickUrl(bytes.toString("base64url"))).toBeNull();
  });

  test("and nothing a stranger writes makes the decoder throw", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(decodeClickUrl(text)).toBeNull();
      }),
    );
  });
});
