import { expect, test } from "bun:test";
import { createEgress } from "../egress/client.ts";
import { resolveBySystem } from "../egress/resolve.ts";
import { webhookAddressProblems } from "./check.ts";
import { campaignInput } from "./schema.ts";

const calling = (...urls: string[]) =>
  campaignInput.parse({
    name: "Calls",
    nodes: urls.map((url, index) => ({ id: `hook${index}`, type: "webhook", url })),
    edges: [],
  });

test("a webhook that leads into the operator's network is refused by name, unless he opened it", () => {
  const campaign = calling(
    "https://crm.example.com/score",
    "http://169.254.169.254/latest",
    "https://10.1.2.3/",
  );
  const closed = createEgress({ allow: [], resolve: resolveBySystem });
  expect(webhookAddressProblems(campaign, closed.refusalByForm)).toEqual([
    {
      field: "nodes.1.url",
      reason:
        'the url of node "hook1" leads to 169.254.169.254, which is link-local, as cloud metadata services are, and not public',
    },
    {
      field: "nodes.2.url",
      reason: 'the url of node "hook2" leads to 10.1.2.3, which is in a private network and not public',
    },
  ]);
  const open = createEgress({ allow: ["10.0.0.0/8"], resolve: resolveBySystem });
  expect(webhookAddressProblems(campaign, open.refusalByForm).map(({ field }) => field)).toEqual([
    "nodes.1.url",
  ]);
  closed.close();
  open.close();
});
