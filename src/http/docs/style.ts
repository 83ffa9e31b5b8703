/** The one style sheet of EDGR's own pages. Light and dark, from a phone's width up; no font or image is fetched. */
export const STYLE = `
:root { color-scheme: light dark; --text: #1c2024; --muted: #5b6470; --line: #d8dce2; --back: #fff; --panel: #f4f6f8;
  --link: #0b57d0; --get: #0b57d0; --post: #146c2e; --patch: #8a5300; --delete: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e8eb; --muted: #a3acb8; --line: #363b42; --back: #15181c;
  --panel: #1e2227; --link: #8ab4f8; --get: #8ab4f8; --post: #7fd495; --patch: #f0b45c; --delete: #ff9c94; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; color: var(--text); background: var(--back); font: 1rem/1.5 system-ui, sans-serif; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, pre:focus-visible, .scroll:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 1rem; padding: .5rem 1rem; background: var(--back); }
.layout { max-width: 75rem; margin: 0 auto; padding: 0 1rem 4rem; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li { margin: .25rem 0; overflow-wrap: anywhere; }
nav details { border-bottom: 1px solid var(--line); padding: .5rem 0; }
nav summary { cursor: pointer; font-weight: 600; }
h1 { line-height: 1.2; }
h2 { margin-top: 3rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
h3 { margin: 2.5rem 0 .25rem; overflow-wrap: anywhere; }
h4 { margin: 1.25rem 0 .5rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .875rem; }
pre { overflow-x: auto; padding: .75rem 1rem; background: var(--panel); border: 1px solid var(--line); border-radius: .375rem; }
.call { margin: .25rem 0; overflow-wrap: anywhere; }
.method { font-weight: 700; text-transform: uppercase; }
.get { color: var(--get); } .post { color: var(--post); } .patch { color: var(--patch); } .delete { color: var(--delete); }
.muted { color: var(--muted); }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .9375rem; }
th, td { padding: .375rem .75rem .375rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
td:first-child { overflow-wrap: anywhere; min-width: 11rem; }
@media (min-width: 60rem) {
  .layout { display: grid; grid-template-columns: 17rem minmax(0, 1fr); gap: 3rem; }
  nav details::details-content { content-visibility: visible; }
  .layout > nav { position: sticky; top: 0; max-height: 100vh; overflow-y: auto; padding: 1.5rem 0; font-size: .9375rem; }
}
`;
