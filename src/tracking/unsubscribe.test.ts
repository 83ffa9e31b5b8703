import { describe, expect, test } from "bun:test";
import { CHROME, claims, createEdge, NOW_MS, reject, token } from "../../test/support/tracking-edge.ts";
import { unsubscribeUrl } from "./links.ts";
import { urlDigest } from "./token.ts";

const good = token();
const path = unsubscribeUrl("", good);
const FORM = "application/x-www-form-urlencoded";

const post = (body: BodyInit, type: string | null = FORM): RequestInit => ({
  method: "POST",
  body,
  headers: type === null ? {} : { "Content-Type": type },
});

function multipart(fields: Record<string, string>): RequestInit {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  return { method: "POST", body: form };
}

/** The value of the page's one button; null when it has none. */
function buttonOf(html: string): string | null {
  return /<button type="submit" name="action" value="(\w+)">/.exec(html)?.[1] ?? null;
}

describe("a person's GET", () => {
  test("unsubscribes and shows a page with the button that undoes it", async () => {
    const edge = createEdge();
    const response = await edge.request(path);
    const html = await response.text();
    expect(response.status).toBe(200);
    expect(html).toContain("<h1>You are unsubscribed</h1>");
    expect(html).toContain(`<form method="post" action="?t=${good}">`);
    expect(buttonOf(html)).toBe("resubscribe");
    expect(edge.changes).toEqual([
      {
        change: "unsubscribe",
        eventId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        customerId: claims.customerId,
        messageId: claims.messageId,
        at: new Date(NOW_MS),
        agent: "human",
        agentRule: "no-rule",
        userAgent: CHROME,
        ip: "203.0.113.7",
        via: "link",
      },
    ]);
    expect(edge.appended).toEqual([]);
  });

  test("unsubscribes with an expired token", async () => {
    const edge = createEdge();
    const response = await edge.request(unsubscribeUrl("", token({ expiresAt: 1 })));
    expect(response.status).toBe(200);
    expect(edge.changes).toHaveLength(1);
    expect(edge.counted).toEqual([]);
  });

  test("shows a button first when the customer wants a confirmation", async () => {
    const edge = createEdge({
      unsubscribes: { unsubscribe: async () => "confirmation_needed", resubscribe: reject },
    });
    const response = await edge.request(path);
    expect(response.status).toBe(200);
    expect(buttonOf(await response.text())).toBe("unsubscribe");
  });

  test("of a test message says so", async () => {
    const edge = createEdge({
      unsubscribes: { unsubscribe: async () => "unknown_message", resubscribe: reject },
    });
    const response = await edge.request(path);
    const html = await response.text();
    expect(response.status).toBe(200);
    expect(html).toContain("This was a test message");
    expect(buttonOf(html)).toBeNull();
  });
});

describe("nothing changes, and the page has a button, for", () => {
  test.each<[string, Record<string, string>]>([
    ["a scanner's GET", { "User-Agent": "Mozilla/5.0 (compatible; BarracudaSentinel/1.0)" }],
    ["a link preview's GET", { "User-Agent": "TelegramBot (like TwitterBot)" }],
    ["a privacy proxy's GET", { "User-Agent": "Mozilla/5.0" }],
    ["an image proxy's GET", { "User-Agent": "YahooMailProxy; https://help.yahoo.com/" }],
    ["a browser's prefetch", { "Sec-Purpose": "prefetch;prerender" }],
    ["a GET without a user agent", { "User-Agent": "" }],
  ])("%s", async (_name, headers) => {
    const edge = createEdge();
    const response = await edge.request(path, { headers });
    expect(response.status).toBe(200);
    expect(buttonOf(await response.text())).toBe("unsubscribe");
    expect(edge.changes).toEqual([]);
  });

  test("a HEAD, which gets the same headers without the page", async () => {
    const edge = createEdge();
    const response = await edge.request(path, { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toBe("text/html; charset=utf-8");
    expect(await response.text()).toBe("");
    expect(edge.changes).toEqual([]);
  });
});

describe("a mail provider's one-click POST", () => {
  test.each<[string, RequestInit]>([
    ["multipart", multipart({ "List-Unsubscribe": "One-Click" })],
    ["urlencoded", post("List-Unsubscribe=One-Click")],
    ["urlencoded with a charset", post("List-Unsubscribe=One-Click", `${FORM}; charset=UTF-8`)],
    ["type in capitals", post("List-Unsubscribe=One-Click", FORM.toUpperCase())],
  ])("in %s unsubscribes: 200, no redirect", async (_name, init) => {
    const edge = createEdge();
    const response = await edge.request(path, init);
    expect(response.status).toBe(200);
    expect(response.headers.get("Location")).toBeNull();
    expect(edge.changes).toMatchObject([{ change: "unsubscribe", via: "one_click" }]);
  });

  test("unsubscribes whatever machine sends it, from whatever origin", async () => {
    const edge = createEdge();
    const headers = { "Content-Type": FORM, "User-Agent": "curl/8.4.0", Origin: "https://mail.example" };
    const init = { method: "POST", body: "List-Unsubscribe=One-Click", headers };
    expect((await edge.request(path, init)).status).toBe(200);
    expect(edge.changes).toMatchObject([{ change: "unsubscribe", agent: "scanner" }]);
  });

  test("unsubscribes with an expired token", async () => {
    const edge = createEdge();
    await edge.request(unsubscribeUrl("", token({ expiresAt: 1 })), post("List-Unsubscribe=One-Click"));
    expect(edge.changes).toHaveLength(1);
  });
});

describe("our buttons", () => {
  test("unsubscribe, and undo it", async () => {
    const edge = createEdge();
    const unsubscribed = await edge.request(path, post("action=unsubscribe"));
    expect(buttonOf(await unsubscribed.text())).toBe("resubscribe");
    const resubscribed = await edge.request(path, post("action=resubscribe"));
    expect(await resubscribed.text()).toContain("<h1>You are subscribed again</h1>");
    expect(edge.changes).toMatchObject([
      { change: "unsubscribe", via: "button" },
      { change: "resubscribe", via: "button" },
    ]);
  });
});

describe("a POST that asks for nothing we know gets 400 and the button", () => {
  const boundary = "multipart/form-data; boundary=x";
  test.each<[string, RequestInit]>([
    ["no body", { method: "POST" }],
    ["an empty form", post("")],
    ["another value", post("List-Unsubscribe=Two-Clicks")],
    ["another action", post("action=delete")],
    ["two things at once", post("action=unsubscribe&action=resubscribe")],
    ["a file for a value", multipartFile()],
    ["JSON", post('{"List-Unsubscribe":"One-Click"}', "application/json")],
    ["a type that only begins like a form's", post("action=unsubscribe", `${FORM}x`)],
    ["no boundary", post("--x\r\n\r\n--x--", "multipart/form-data")],
    ["a body that is not multipart", post("List-Unsubscribe=One-Click", boundary)],
    ["multipart cut short", post('--x\r\nContent-Disposition: form-data; name="List-Unsub', boundary)],
    ["binary rubbish", post(new Uint8Array([0, 255, 254, 13, 10, 0]), boundary)],
    ["17 kB", post(`action=unsubscribe&pad=${"x".repeat(17_000)}`)],
    ["17 kB of unstated length", post(streamOf(`action=unsubscribe&pad=${"x".repeat(17_000)}`))],
  ])("%s", async (_name, init) => {
    const edge = createEdge();
    const response = await edge.request(path, init);
    expect(response.status).toBe(400);
    expect(buttonOf(await response.text())).toBe("unsubscribe");
    expect(edge.changes).toEqual([]);
  });

  function multipartFile(): RequestInit {
    const form = new FormData();
    form.set("List-Unsubscribe", new File(["One-Click"], "a.txt"));
    return { method: "POST", body: form };
  }

  function streamOf(text: string): ReadableStream {
    return new Blob([text]).stream();
  }
});

describe("a bad token changes nothing: a page, 400, no button", () => {
  const clickToken = token({ urlDigest: urlDigest("https://example.com/") });
  test.each([
    ["none", "/api/tracking/unsubscribe"],
    ["a changed one", `${path.slice(0, -1)}_`],
    ["twice the same", `${path}&t=${good}`],
    ["that of a click", unsubscribeUrl("", clickToken)],
    ["markup", unsubscribeUrl("", '"><script>alert(1)</script>')],
    ["a megabyte", unsubscribeUrl("", "A".repeat(1_000_000))],
  ])("%s", async (_name, url) => {
    const edge = createEdge();
    for (const init of [{}, post("List-Unsubscribe=One-Click")]) {
      const response = await edge.request(url, init);
      const html = await response.text();
      expect(response.status).toBe(400);
      expect(html).toContain("This link is incomplete");
      expect(html).not.toContain("script");
      expect(buttonOf(html)).toBeNull();
    }
    expect(edge.changes).toEqual([]);
    expect(edge.counted).toEqual(["badToken unsubscribe", "badToken unsubscribe"]);
  });
});

test("when it can only be kept the page says so, and not that it was done; its button takes it back", async () => {
  const edge = createEdge({
    unsubscribes: { unsubscribe: async () => "kept", resubscribe: async () => "kept" },
  });
  const asked: [RequestInit, string][] = [
    [{}, "resubscribe"],
    [post("List-Unsubscribe=One-Click"), "resubscribe"],
    [post("action=resubscribe"), "unsubscribe"],
  ];
  for (const [init, button] of asked) {
    const response = await edge.request(path, init);
    const html = await response.text();
    expect(response.status).toBe(200);
    expect(html).toContain("<h1>We have your request</h1>");
    expect(html).not.toContain("You are");
    expect(buttonOf(html)).toBe(button);
  }
  expect(edge.counted).toEqual([]);
});

test("when it can't be done the page says to try later, and not that it was done", async () => {
  const edge = createEdge({ unsubscribes: { unsubscribe: reject, resubscribe: reject } });
  for (const init of [{}, post("List-Unsubscribe=One-Click"), post("action=resubscribe")]) {
    const response = await edge.request(path, init);
    expect(response.status).toBe(503);
    expect(response.headers.get("Retry-After")).toBe("120");
    expect(await response.text()).toContain("could not record your request");
  }
  expect(edge.counted).toEqual(["lostHit unsubscribe", "lostHit unsubscribe", "lostHit unsubscribe"]);
  expect(edge.logged).toHaveLength(3);
});

test.each(["PUT", "DELETE", "OPTIONS"])("%s is refused", async (method) => {
  const response = await createEdge().request(path, { method });
  expect(response.status).toBe(405);
  expect(response.headers.get("Allow")).toBe("GET, HEAD, POST");
});
