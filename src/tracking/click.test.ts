import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { claims, createEdge, NOW_MS, reject, token } from "../../test/support/tracking-edge.ts";
import { clickUrl } from "./links.ts";
import { urlDigest } from "./token.ts";

const SHOP = "https://shop.example/buy?a=1&b=%7E2+3#top";

const path = (url: string, changes: Parameters<typeof token>[0] = {}) =>
  clickUrl("", token({ urlDigest: urlDigest(url), ...changes }), url);

function expectRedirect(response: Response, location: string): void {
  expect(response.status).toBe(302);
  expect(response.headers.get("Location")).toBe(location);
  expect(response.headers.get("Cache-Control")).toContain("no-store");
  expect(response.headers.get("Referrer-Policy")).toBe("no-referrer");
  expect(response.headers.get("X-Robots-Tag")).toBe("noindex");
  expect(response.headers.get("Set-Cookie")).toBeNull();
}

describe("a click", () => {
  test("is recorded with its URL, then redirected to it byte for byte", async () => {
    const edge = createEdge();
    expectRedirect(await edge.request(path(SHOP)), SHOP);
    expect(edge.appended).toHaveLength(1);
    expect(edge.appended[0]).toMatchObject({
      type: "email_clicked",
      at: new Date(NOW_MS),
      customerId: claims.customerId,
      campaignId: claims.campaignId,
      runId: claims.runId,
      messageId: claims.messageId,
      agent: "human",
      ip: "203.0.113.7",
      data: { clickedUrl: SHOP },
    });
  });

  test("is redirected in ASCII when its URL is not", async () => {
    const edge = createEdge();
    const url = "https://münchen.example/straße?q=ü";
    expectRedirect(await edge.request(path(url)), "https://xn--mnchen-3ya.example/stra%C3%9Fe?q=%C3%BC");
    expect(edge.appended[0]?.data).toEqual({ clickedUrl: url });
  });

  test("never puts into Location what does not belong into a header", () => {
    const edge = createEdge();
    const urls = fc
      .tuple(fc.webUrl(), fc.string({ unit: "binary", maxLength: 40 }))
      .map(([url, tail]) => `${url}/${tail}`);
    return fc.assert(
      fc.asyncProperty(urls, async (url) => {
        const response = await edge.request(path(url));
        expect([302, 400]).toContain(response.status);
        if (response.status === 302) {
          expect(response.headers.get("Location")).toMatch(/^https?:\/\/[\x21-\x7e]+$/i);
        }
      }),
    );
  });

  test("by a scanner is redirected too, and recorded as one", async () => {
    const edge = createEdge();
    expectRedirect(await edge.request(path(SHOP), { headers: { "User-Agent": "curl/8.4.0" } }), SHOP);
    expect(edge.appended[0]?.agent).toBe("scanner");
  });

  test("with an expired token is redirected and counted, not recorded", async () => {
    const edge = createEdge();
    expectRedirect(await edge.request(path(SHOP, { expiresAt: 1 })), SHOP);
    expect(edge.appended).toEqual([]);
    expect(edge.counted).toEqual(["lateHit click"]);
  });

  test("by HEAD is redirected, not recorded", async () => {
    const edge = createEdge();
    expectRedirect(await edge.request(path(SHOP), { method: "HEAD" }), SHOP);
    expect(edge.appended).toEqual([]);
    expect(edge.counted).toEqual([]);
  });

  test("that can't be recorded is redirected, and its whole event goes to the log", async () => {
    const edge = createEdge({ append: reject });
    expectRedirect(await edge.request(path(SHOP)), SHOP);
    expect(edge.counted).toEqual(["lostHit click"]);
    expect(edge.logged).toHaveLength(1);
    expect(edge.logged[0]?.about).toMatchObject({ type: "email_clicked", data: { clickedUrl: SHOP } });
  });
});

describe("there is no open redirect", () => {
  const good = path(SHOP);
  const encoded = (url: string) => Buffer.from(url).toString("base64url");
  test.each([
    ["another URL", clickUrl("", token({ urlDigest: urlDigest(SHOP) }), "https://evil.example/")],
    ["the same URL with a slash", clickUrl("", token({ urlDigest: urlDigest(SHOP) }), `${SHOP}/`)],
    ["a token of a pixel", clickUrl("", token(), SHOP)],
    ["a changed token", good.replace("t=e", "t=f")],
    ["no token", `/api/tracking/click?url=${encoded(SHOP)}`],
    ["no URL", `/api/tracking/click?t=${token({ urlDigest: urlDigest(SHOP) })}`],
    ["a URL that is not encoded", `/api/tracking/click?t=${token()}&url=https://evil.example/`],
    ["a second URL", `${good}&url=${encoded("https://evil.example/")}`],
    ["the same URL twice", `${good}&url=${encoded(SHOP)}`],
    ["the token twice", `${good}&t=${token({ urlDigest: urlDigest(SHOP) })}`],
    ["padding", `${good}=`],
    ["a NUL", `${good}%00`],
    ["a signed javascript: URL", path("javascript:alert(1)")],
    ["a signed line break", path("https://shop.example/\r\nSet-Cookie: a=b")],
    ["a signed user before the host", path("https://shop.example@evil.example/")],
    ["nothing", "/api/tracking/click"],
  ])("%s gets a page, 400", async (_name, url) => {
    const edge = createEdge();
    const response = await edge.request(url);
    expect(response.status).toBe(400);
    expect(response.headers.get("Location")).toBeNull();
    expect(response.headers.get("Content-Type")).toBe("text/html; charset=utf-8");
    expect(edge.appended).toEqual([]);
    expect(edge.counted).toEqual(["badToken click"]);
  });
});

test.each(["POST", "OPTIONS"])("%s is refused", async (method) => {
  const response = await createEdge().request(path(SHOP), { method });
  expect(response.status).toBe(405);
});
