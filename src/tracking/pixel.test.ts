import { describe, expect, test } from "bun:test";
import { CHROME, claims, createEdge, NOW_MS, reject, token } from "../../test/support/tracking-edge.ts";
import { pixelUrl } from "./links.ts";
import { GIF } from "./pixel.ts";
import { urlDigest } from "./token.ts";

const path = (t: string) => pixelUrl("", t);

async function expectGif(response: Response): Promise<void> {
  expect(response.status).toBe(200);
  expect(response.headers.get("Content-Type")).toBe("image/gif");
  expect(response.headers.get("Content-Length")).toBe("43");
  expect(response.headers.get("Cache-Control")).toBe(
    "no-store, no-cache, must-revalidate, private, max-age=0",
  );
  for (const name of ["Set-Cookie", "ETag", "Last-Modified"]) expect(response.headers.get(name)).toBeNull();
  expect(Buffer.from(await response.arrayBuffer())).toEqual(GIF);
}

test("the gif is 43 bytes: one transparent point", () => {
  expect(GIF.length).toBe(43);
  expect(GIF.toString("latin1", 0, 6)).toBe("GIF89a");
  expect([GIF.readUInt16LE(6), GIF.readUInt16LE(8)]).toEqual([1, 1]);
  const control = GIF.indexOf(Buffer.from([0x21, 0xf9, 0x04]));
  expect((GIF[control + 3] ?? 0) & 1).toBe(1);
});

describe("an open", () => {
  test("is recorded with message, run, agent, user agent and IP, before the gif is sent", async () => {
    const edge = createEdge();
    await expectGif(await edge.request(path(token())));
    expect(edge.appended).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        type: "email_opened",
        at: new Date(NOW_MS),
        customerId: claims.customerId,
        campaignId: claims.campaignId,
        runId: claims.runId,
        messageId: claims.messageId,
        contactId: null,
        agent: "human",
        agentRule: "no-rule",
        userAgent: CHROME,
        ip: "203.0.113.7",
        data: {},
      },
    ]);
    expect(edge.counted).toEqual([]);
  });

  test("is not answered before it is durable", async () => {
    const durable = Promise.withResolvers<void>();
    const edge = createEdge({ append: () => durable.promise });
    let answered = false;
    const response = edge.request(path(token())).then((answer) => {
      answered = true;
      return answer;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    durable.resolve();
    await expectGif(await response);
  });

  test("takes the client's address from the proxy's header through clientIp", async () => {
    const edge = createEdge();
    await edge.request(path(token()), { headers: { "X-Forwarded-For": "198.51.100.4" } });
    expect(edge.appended[0]?.ip).toBe("198.51.100.4");
  });

  test("has no IP and no user agent where there is none", async () => {
    const edge = createEdge();
    await edge.app.request(path(token()), {}, { ip: null });
    expect(edge.appended[0]).toMatchObject({ ip: null, userAgent: null, agent: "scanner" });
  });

  test.each([
    ["an image proxy", "Firefox/11.0 (via ggpht.com GoogleImageProxy)", "proxy"],
    ["a privacy proxy", "Mozilla/5.0", "prefetch"],
    ["a scanner", "curl/8.4.0", "scanner"],
  ])("by %s is recorded as that", async (_name, userAgent, agent) => {
    const edge = createEdge();
    await expectGif(await edge.request(path(token()), { headers: { "User-Agent": userAgent } }));
    expect(edge.appended[0]?.agent === agent).toBe(true);
  });

  test("keeps at most 512 characters of a user agent, without controls", async () => {
    const edge = createEdge();
    const userAgent = `${CHROME}\t\u0085${"x".repeat(5000)}`;
    await edge.request(path(token()), { headers: { "User-Agent": userAgent } });
    const kept = edge.appended[0]?.userAgent ?? "";
    expect(kept.startsWith(`${CHROME}x`)).toBe(true);
    expect(kept.length).toBe(510);
  });
});

describe("the gif comes and nothing is recorded", () => {
  const good = token();
  test.each([
    ["no token", "/api/tracking/pixel.gif"],
    ["an empty token", path("")],
    ["a changed token", path(`${good.slice(0, -1)}_`)],
    ["the token twice", `${path(good)}&t=${good}`],
    ["a token and rubbish", `${path(good)}&t=`],
    ["a NUL", path(`${good}%00`)],
    ["broken percent-encoding", path(`${good}%`)],
    ["a megabyte", path("A".repeat(1_000_000))],
    ["the token of a click", path(token({ urlDigest: urlDigest("https://example.com/") }))],
  ])("for %s, which counts as a bad token", async (_name, url) => {
    const edge = createEdge();
    await expectGif(await edge.request(url));
    expect(edge.appended).toEqual([]);
    expect(edge.counted).toEqual(["badToken pixel"]);
  });

  test("for an expired token, which counts as a late hit", async () => {
    const edge = createEdge();
    await expectGif(await edge.request(path(token({ expiresAt: NOW_MS / 1000 }))));
    expect(edge.appended).toEqual([]);
    expect(edge.counted).toEqual(["lateHit pixel"]);
  });

  test("for HEAD, with the same headers", async () => {
    const edge = createEdge();
    const response = await edge.request(path(good), { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("");
    const get = await edge.request(path("bad"));
    expect([...response.headers]).toEqual([...get.headers]);
    expect(edge.appended).toEqual([]);
  });
});

test("other parameters and percent-encoding do not matter", async () => {
  const edge = createEdge();
  await edge.request(`/api/tracking/pixel.gif?utm=1&tt=2&t=${token().replaceAll(".", "%2E")}&x`);
  expect(edge.appended).toHaveLength(1);
});

test("when the open can't be recorded, image proxies are told to come back", async () => {
  const edge = createEdge({ append: reject });
  const response = await edge.request(path(token()));
  expect(response.status).toBe(503);
  expect(response.headers.get("Retry-After")).toBe("30");
  expect(response.headers.get("Cache-Control")).toContain("no-store");
  expect(edge.counted).toEqual(["lostHit pixel"]);
  expect(edge.logged).toEqual([{ about: "pixel", error: new Error("the database is down") }]);
});

test.each(["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])("%s is refused", async (method) => {
  const edge = createEdge();
  const response = await edge.request(path(token()), { method });
  expect(response.status).toBe(405);
  expect(response.headers.get("Allow")).toBe("GET, HEAD");
  expect(response.headers.get("Content-Type")).toBe("application/problem+json");
  expect(edge.appended).toEqual([]);
});
