import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compileGraph } from "../../src/campaigns/graph.ts";
import { campaignInput, FIRES_WHEN, NODE_TYPES } from "../../src/campaigns/schema.ts";
import { validateCampaign } from "../../src/campaigns/validate.ts";
import { validCampaign } from "./graphs.ts";

describe("drawn campaigns", () => {
  test("are ones that the API takes as they are, and has nothing against", () => {
    fc.assert(
      fc.property(validCampaign(), (campaign) => {
        expect(validateCampaign(campaign)).toEqual([]);
        expect(campaignInput.parse(structuredClone(campaign))).toEqual(campaign);
      }),
      { numRuns: 500 },
    );
  });

  test("have every type of node, every trigger, cycles, and entries that edges lead back to", () => {
    const campaigns = fc.sample(validCampaign(), { numRuns: 500, seed: 1 });
    const types = new Set(campaigns.flatMap(({ nodes }) => nodes.map(({ type }) => type)));
    const triggers = new Set(campaigns.flatMap(({ edges }) => edges.map(({ firesWhen }) => firesWhen)));
    expect([...types].sort()).toEqual([...NODE_TYPES].sort());
    expect([...triggers].sort()).toEqual([...FIRES_WHEN].sort());
    const compiled = campaigns.map(compileGraph);
    expect(compiled.filter(({ edges }) => edges.some((edge) => edge.closesCycle)).length).toBeGreaterThan(
      100,
    );
    const ledBack = compiled.filter(({ nodes, edges }) => {
      const entry = nodes.find((node) => node.isEntry)?.nodeId;
      return edges.some((edge) => edge.toNode === entry && edge.fromNode !== entry);
    });
    expect(ledBack.length).toBeGreaterThan(20);
  });
});
