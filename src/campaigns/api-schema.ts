import { z } from "@hono/zod-openapi";
import { id, time } from "../http/fields.ts";
import { campaignInput, campaignSettings } from "./schema.ts";

export const CAMPAIGN_STATUSES = ["draft", "active", "paused"] as const;

const { name, nodes, edges } = campaignInput.shape;

// A default here would put back what a change does not mention.
export const campaignChange = z
  .strictObject({ name, nodes, edges, ...campaignSettings })
  .partial()
  .openapi("CampaignChange", {
    description: "What is not given stays; the campaign that results is checked.",
    example: { name: "Welcome", quietHours: { from: "21:00", to: "08:00" } },
  });

const summary = {
  id: id(),
  name: z.string().openapi({ example: "Welcome" }),
  status: z.enum(CAMPAIGN_STATUSES).openapi({ example: "active" }),
  ...campaignSettings,
  version: z.int().openapi({
    type: "integer",
    description: "Of the graph that people enroll into: 1 after the first activation, 0 for a draft.",
    example: 1,
  }),
  createdAt: time(),
  updatedAt: time(),
};

export const campaignSummary = z.object(summary).openapi("CampaignSummary");

export const campaign = z
  .object({
    ...summary,
    nodes,
    edges,
    hasUnactivatedChanges: z.boolean().openapi({
      description: "Whether the graph shown here differs from the one that people enroll into.",
      example: false,
    }),
  })
  .openapi("Campaign");
