import fc from "fast-check";

/** What chats make something of, whole and in parts that become whole where two fields meet. */
export const HOSTILE = [
  "<!channel>",
  "<!here|here>",
  "<@U12345>",
  "<#C12345|general>",
  "<https://evil.example/|https://edgr.example.com>",
  "<mailto:a@evil.example|b>",
  "<!date^1^{date}^https://evil.example|x>",
  "&lt;!channel&gt;",
  "&amp;lt;!channel&amp;gt;",
  "*bold* _italic_ ~gone~ `code` ```pre```",
  "> quote",
  ":warning:",
  "@everyone",
  "@here",
  "<@123456789012345678>",
  "<@!123456789012345678> <@&123456789012345678> <#123456789012345678>",
  "[https://edgr.example.com](https://evil.example)",
  "[x](<https://evil.example>)",
  "](https://evil.example)",
  "https://evil.example/path?a=1&b=2",
  "<https://evil.example>",
  "**bold** __under__ ~~gone~~ ||spoiler||",
  "<a:blink:123456789012345678>",
  "<t:0:R> <id:customize> </help:123456789012345678>",
  "\n# heading\n- item\n1. one\n-# small\n>>> quote",
  "\\",
  "\\\\[",
  "\\<!channel>",
  "{who} [{reason}] $& $1",
  "\u202Egnp.exe",
  "\0\u0007",
  "👩‍👩‍👧‍👦",
  "\uD83D",
  "\uDE00",
  "<",
  "!channel>",
  "]",
  "(",
  "*",
  "&".repeat(2_000),
  "@".repeat(2_000),
  "😀".repeat(1_500),
  '"'.repeat(3_000),
  "\n".repeat(400),
  "a\n".repeat(4_000),
];

/** Anything somebody may have put into a field. */
export const hostileText = fc.oneof(
  fc
    .array(fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: "binary" })), { maxLength: 6 })
    .map((parts) => parts.join("")),
  fc.string({ unit: "grapheme", maxLength: 400 }),
);
