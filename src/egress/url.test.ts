import { describe, expect, test } from "bun:test";
import { parseRange } from "../ip-ranges.ts";
import { checkUrl } from "./url.ts";

const REFUSED_LITERALS = [
  "http://127.0.0.1/",
  "http://127.1/",
  "http://0x7f.1/",
  "http://2130706433/",
  "http://017700000001/",
  "http://0/",
  "http://0.0.0.0/",
  "http://１２７.０.０.１/",
  "http://127.0.0.1.:80/",
  "http://10.1.2.3/",
  "http://172.16.0.1/",
  "http://172.31.255.255/",
  "http://192.168.1.1/",
  "http://169.254.169.254/latest/meta-data/",
  "http://[fd00:ec2::254]/",
  "http://100.64.0.1/",
  "http://100.127.255.255/",
  "http://192.0.0.1/",
  "http://192.0.2.1/",
  "http://198.51.100.7/",
  "http://203.0.113.7/",
  "http://198.18.0.1/",
  "http://198.19.255.255/",
  "http://192.88.99.1/",
  "http://224.0.0.1/",
  "http://239.255.255.255/",
  "http://240.0.0.1/",
  "http://255.255.255.255/",
  "http://[::]/",
  "http://[::1]/",
  "http://[::127.0.0.1]/",
  "http://[::ffff:127.0.0.1]/",
  "http://[::ffff:7f00:1]/",
  "http://[::ffff:10.0.0.1]/",
  "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
  "http://[::ffff:0:127.0.0.1]/",
  "http://[fe80::1]/",
  "http://[fc00::1]/",
  "http://[fdff::1]/",
  "http://[fec0::1]/",
  "http://[ff02::1]/",
  "http://[100::1]/",
  "http://[64:ff9b::7f00:1]/",
  "http://[64:ff9b:1::1]/",
  "http://[2001::1]/",
  "http://[2001:db8::1]/",
  "http://[2001:10::1]/",
  "http://[2001:20::1]/",
  "http://[2002:7f00:1::]/",
  "http://[3fff::1]/",
  "http://[5f00::1]/",
  "http://[4000::1]/",
];

const REFUSED_FORMS = [
  "",
  "example.com",
  "//example.com/",
  "ftp://example.com/",
  "file:///etc/passwd",
  "javascript:alert(1)",
  "data:text/plain,hi",
  "gopher://example.com/",
  "unix:/var/run/docker.sock",
  "http://user@example.com/",
  "http://user:secret@example.com/",
  "http://example.com:22/",
  "http://example.com:25/",
  "http://example.com:6379/",
  "https://example.com:5432/",
  "http://93.184.216.34:11211/",
  "http://exa mple.com/",
  "http://[::1/",
];

describe("an address that EDGR is to call", () => {
  test.each(REFUSED_LITERALS)("%s leads nowhere public and is refused", (url) => {
    const checked = checkUrl(url, []);
    expect(checked.ok ? "accepted" : checked.reason).toContain("not public");
  });

  test.each(REFUSED_FORMS)("%s has a form that is refused", (url) => {
    expect(checkUrl(url, []).ok).toBe(false);
  });

  test("of more than 2,048 characters is refused", () => {
    expect(checkUrl(`https://example.com/${"a".repeat(2048 - 20)}`, []).ok).toBe(true);
    expect(checkUrl(`https://example.com/${"a".repeat(2049 - 20)}`, []).ok).toBe(false);
  });

  test.each([
    "https://hooks.example.com/a?b=c",
    "http://example.com",
    "https://example.com:8443/",
    "http://93.184.216.34/",
    "https://[2606:4700::1111]/",
    "http://9.255.255.255/",
    "http://172.32.0.1/",
    "http://100.128.0.1/",
  ])("%s is accepted", (url) => {
    expect(checkUrl(url, []).ok).toBe(true);
  });

  test("in a range that was opened on purpose may be called at any port", () => {
    const allowed = ["10.0.0.0/8", "::1"].map(parseRange);
    expect(checkUrl("http://10.1.2.3:9000/", allowed).ok).toBe(true);
    expect(checkUrl("http://[::ffff:10.1.2.3]/", allowed).ok).toBe(true);
    expect(checkUrl("http://[::1]:9000/", allowed).ok).toBe(true);
    expect(checkUrl("http://127.0.0.1:9000/", allowed).ok).toBe(false);
    expect(checkUrl("http://93.184.216.34:9000/", allowed).ok).toBe(false);
  });

  test("is refused with a reason that follows the field's name", () => {
    const checked = checkUrl("http://127.1/", []);
    expect(checked.ok ? "" : checked.reason).toBe(
      "leads to 127.0.0.1, which is this machine itself and not public",
    );
  });
});
