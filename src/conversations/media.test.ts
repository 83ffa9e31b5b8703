import { expect, test } from "bun:test";
import fc from "fast-check";
import { mediaHeaders } from "./media.ts";

const bytesOf = (...parts: (string | number[])[]) =>
  Buffer.concat(
    parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from(part))),
  );

const JPEG = bytesOf([0xff, 0xd8, 0xff, 0xe0], "JFIF");

test.each([
  ["image/jpeg", JPEG],
  ["image/png", bytesOf([0x89], "PNG\r\n", [0x1a], "\n....")],
  ["image/gif", bytesOf("GIF89a....")],
  ["image/webp", bytesOf("RIFF....WEBPVP8 ")],
])("a picture is shown for what is in it, whatever it is called: %s", (type, bytes) => {
  const headers = mediaHeaders(bytes, ["evil.html"]);
  expect(headers["Content-Type"]).toBe(type);
  expect(headers["Content-Disposition"]).toStartWith("inline;");
});

test.each([
  ["a page that is called a picture", bytesOf("<!doctype html><script>alert(1)</script>"), "cat.jpg"],
  ["a drawing that can run", bytesOf("<svg xmlns='http://www.w3.org/2000/svg'/>"), "cat.svg"],
  ["a document", bytesOf("%PDF-1.7"), "a.pdf"],
  ["a sound that is like a picture's wrapper", bytesOf("RIFF....WAVEfmt "), "a.webp"],
  ["nothing", Buffer.alloc(0), "a.gif"],
])("all else is something to save: %s", (_, bytes, name) => {
  const headers = mediaHeaders(bytes, [name]);
  expect(headers["Content-Type"]).toBe("application/octet-stream");
  expect(headers["Content-Disposition"]).toStartWith("attachment;");
  expect(headers["Content-Security-Policy"]).toContain("sandbox");
  expect(headers["X-Content-Type-Options"]).toBe("nosniff");
});

test.each([
  [["Résumé (1).pdf"], `filename="R_sum_ (1).pdf"; filename*=UTF-8''R%C3%A9sum%C3%A9%20%281%29.pdf`],
  [['a"; filename="b.exe'], `filename="a__ filename__b.exe"; filename*=UTF-8''a%22%3B%20filename%3D%22b.exe`],
  [["../../etc/passwd"], `filename="_.._etc_passwd"; filename*=UTF-8''_.._etc_passwd`],
  [["cod\u202egpj.exe"], `filename="codgpj.exe"; filename*=UTF-8''codgpj.exe`],
  [[null, "file_1.jpg"], `filename="file_1.jpg"; filename*=UTF-8''file_1.jpg`],
  [["\u0000 ", ""], `filename="file"; filename*=UTF-8''file`],
])("a name is one in both forms, and no more than a name: %j", (names, expected) => {
  expect(mediaHeaders(JPEG, names)["Content-Disposition"]).toBe(`inline; ${expected}`);
});

test("no name ends a header or breaks it", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (name) => {
      const headers = new Headers(mediaHeaders(JPEG, [name]));
      expect(headers.get("Content-Disposition")).toMatch(
        /^inline; filename="[A-Za-z0-9._ ()-]+"; filename\*=UTF-8''[A-Za-z0-9%._~!-]+$/,
      );
    }),
  );
});
