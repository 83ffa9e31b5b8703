import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  type CampaignApi,
  createCampaignApi,
  helloCampaign,
  helloNode,
  smtpCredential,
} from "../../test/support/campaign-api.ts";

let api: CampaignApi;
let credentialId: string;

beforeAll(async () => {
  api = await createCampaignApi();
  credentialId = (await api.ok("POST", "/credentials", smtpCredential())).id;
});
afterAll(() => api.close());

let number = 0;
/** A partial with a name of its own. */
function partial(more: object = {}) {
  number += 1;
  return { name: `partial-${number}`, kind: "partial", source: "<p>one</p>", ...more };
}

async function refusal(method: string, path: string, body: object): Promise<string> {
  const answer = await api.call(method, `/api/v1${path}`, { body });
  const [first] = answer.body.errors ?? [];
  return `${answer.status} ${first?.field}: ${first?.reason}`;
}

describe("a template", () => {
  test("is created, listed, found by name, read, changed and deleted", async () => {
    const given = partial();
    const created = await api.ok("POST", "/templates", given);
    expect(created).toMatchObject({ ...given, format: "html" });
    expect(await api.ok("GET", `/templates/${created.id}`)).toEqual(created);
    expect((await api.ok("GET", `/templates?name=${given.name}&kind=partial`)).items).toEqual([created]);
    const changed = await api.ok("PATCH", `/templates/${created.id}`, { source: "<p>two</p>" });
    expect(changed).toMatchObject({ name: given.name, source: "<p>two</p>" });
    expect((await api.call("DELETE", `/api/v1/templates/${created.id}`)).status).toBe(204);
    expect((await api.call("GET", `/api/v1/templates/${created.id}`)).status).toBe(404);
  });

  test("has its name alone", async () => {
    const { id } = await api.ok("POST", "/templates", partial());
    const taken = partial();
    await api.ok("POST", "/templates", taken);
    expect(await refusal("POST", "/templates", taken)).toBe("409 name: belongs to another template");
    expect(await refusal("PATCH", `/templates/${id}`, { name: taken.name })).toBe(
      "409 name: belongs to another template",
    );
  });

  test.each([
    [{ name: "a b" }, "400 name: must be 1 to 64 letters, digits, hyphens or underscores"],
    [{ name: "../x" }, "400 name: must be 1 to 64 letters, digits, hyphens or underscores"],
    [{ source: "" }, "400 source: must not be empty"],
    [{ source: "\n{% if %}" }, "400 source: invalid value expression"],
    [{ source: "{% nope %}" }, '400 source: tag "nope" not found, line 1 of the template'],
    [{ source: '\n{% render "gone" %}' }, '400 source: there is no template "gone", line 2 of the template'],
    [{ source: '{% render "/etc/passwd" %}' }, '400 source: there is no template "/etc/passwd", line 1'],
    [{ kind: "include" }, "400 kind:"],
    [{ format: "text" }, "400 format:"],
  ])("%p is refused", async (wrong, reason) => {
    expect(await refusal("POST", "/templates", partial(wrong))).toStartWith(reason);
  });

  test("may have variables that only its users give it", async () => {
    await api.ok("POST", "/templates", partial({ source: "{{ url }}{{ contact.email }}" }));
  });

  test("can't use itself, by however many others", async () => {
    const first = partial();
    const { id } = await api.ok("POST", "/templates", first);
    const second = partial({ source: `{% render "${first.name}" %}` });
    await api.ok("POST", "/templates", second);
    const circle = { source: `{% render "${second.name}" %}` };
    expect(await refusal("PATCH", `/templates/${id}`, circle)).toStartWith(
      `400 source: the template "${first.name}" uses itself: ${first.name} → ${second.name} → ${first.name}`,
    );
  });

  test("that is used stays and keeps its name", async () => {
    const used = partial();
    const { id } = await api.ok("POST", "/templates", used);
    const user = partial({ source: `{% render "${used.name}" %}` });
    await api.ok("POST", "/templates", user);
    const html = `<p>{% render "${used.name}" %}</p>`;
    const nodes = [helloNode(credentialId, { html })];
    const campaign = await api.ok("POST", "/campaigns", { name: "Uses it", nodes, edges: [] });
    for (const [method, body] of [
      ["DELETE", undefined],
      ["PATCH", { name: "other" }],
    ] as const) {
      const answer = await api.call(method, `/api/v1/templates/${id}`, { body });
      expect([answer.status, answer.body.detail]).toEqual([
        409,
        `The template "${used.name}" is still used by the campaign "Uses it" (${campaign.id}), the template "${user.name}".`,
      ]);
    }
  });
});

describe("a campaign", () => {
  const withHtml = (html: string, more: object = {}) => ({
    name: "With templates",
    nodes: [helloNode(credentialId, { html, ...more })],
    edges: [],
  });

  test("that names an unknown template is refused by node and template", async () => {
    expect(await refusal("POST", "/campaigns", withHtml('a\n{% render "gone" %}'))).toBe(
      '400 nodes.0.html: the html of node "hello": there is no template "gone", line 2',
    );
  });

  test("whose MJML is wrong is refused by line and element", async () => {
    const html = "<mjml><mj-body>\n<mj-foo/></mj-body></mjml>";
    expect(await refusal("POST", "/campaigns", withHtml(html, { format: "mjml" }))).toBe(
      '400 nodes.0.html: the html of node "hello": mj-foo: Element mj-foo doesn\'t exist or is not registered, line 2',
    );
  });

  test("of another customer does not reach one's templates", async () => {
    const mine = partial();
    await api.ok("POST", "/templates", mine);
    const thief = await api.createCustomer("thief");
    const body = { format: "html", html: `{% render "${mine.name}" %}` };
    const answer = await api.call("POST", "/api/v1/templates/preview", { body, customer: thief });
    expect([answer.status, answer.body.errors[0]]).toEqual([
      422,
      { field: "html", reason: `there is no template "${mine.name}", line 1` },
    ]);
  });

  test("shows a changed template as a change that is not activated, and keeps what it began with", async () => {
    const inner = partial({ source: "<b>old</b>" });
    const { id: innerId } = await api.ok("POST", "/templates", inner);
    const outer = partial({ source: `<i>{% render "${inner.name}" %}</i>` });
    await api.ok("POST", "/templates", outer);
    const { id } = await api.ok("POST", "/campaigns", withHtml(`<p>{% render "${outer.name}" %}</p>`));
    const activated = await api.ok("POST", `/campaigns/${id}/activate`);
    expect(activated).toMatchObject({ version: 1, hasUnactivatedChanges: false });
    const settings = async (version: number) => {
      const { rows } = await api.database.pool.query(
        "select settings from campaign_node where campaign_id = $1 and version = $2",
        [id, version],
      );
      return rows[0]?.settings;
    };
    const frozen = await settings(1);
    expect(frozen).toMatchObject({ partials: { [inner.name]: inner.source, [outer.name]: outer.source } });
    expect(frozen.compiledHtml).toContain("<b>old</b>");

    await api.ok("PATCH", `/templates/${innerId}`, { source: "<b>new</b>" });
    expect(await api.ok("GET", `/campaigns/${id}`)).toMatchObject({ hasUnactivatedChanges: true });
    expect(await settings(1)).toEqual(frozen);
    expect(await api.ok("POST", `/campaigns/${id}/activate`)).toMatchObject({ version: 2 });
    expect((await settings(2)).compiledHtml).toContain("<b>new</b>");
    expect(await api.ok("POST", `/campaigns/${id}/activate`)).toMatchObject({ version: 2 });
  });

  test("of MJML is activated again as the same version, though MJML makes new ids every time", async () => {
    const navbar =
      '<mj-navbar hamburger="hamburger"><mj-navbar-link href="https://a.example">a</mj-navbar-link></mj-navbar>';
    const html = `<mjml><mj-body><mj-section><mj-column>${navbar}</mj-column></mj-section></mj-body></mjml>`;
    const { id } = await api.ok("POST", "/campaigns", withHtml(html, { format: "mjml" }));
    await api.ok("POST", `/campaigns/${id}/activate`);
    expect(await api.ok("POST", `/campaigns/${id}/activate`)).toMatchObject({
      version: 1,
      hasUnactivatedChanges: false,
    });
  });

  test("that uses no template is kept as it was written", async () => {
    const { id } = await api.ok("POST", "/campaigns", helloCampaign(credentialId));
    await api.ok("POST", `/campaigns/${id}/activate`);
    const { rows } = await api.database.pool.query(
      "select settings from campaign_node where campaign_id = $1 and node_id = 'hello'",
      [id],
    );
    expect(Object.keys(rows[0]?.settings)).not.toContain("partials");
    expect(Object.keys(rows[0]?.settings)).not.toContain("compiledHtml");
  });
});
