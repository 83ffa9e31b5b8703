import type { FieldProblem } from "../errors.ts";
import { isTimeZone } from "../time-zone.ts";
import { durationProblem } from "./duration.ts";
import { edgesProblems } from "./edge-problems.ts";
import { nodeProblems } from "./node-problems.ts";
import { lineProblem, problem, repeated, shortened } from "./problem.ts";
import type { Campaign } from "./schema.ts";
import { structureProblems } from "./structure.ts";

/**
 * Everything that is wrong with a campaign of the right shape, each with its field and the node or edge by name.
 * None: it can be compiled and run. Whether its templates are good Liquid is the messages' business, not asked here.
 */
export function validateCampaign(campaign: Campaign): FieldProblem[] {
  const nodes = new Map(campaign.nodes.map((node) => [node.id, node]));
  return [
    ...problem("name", "the campaign's name", lineProblem(campaign.name)),
    ...settingsProblems(campaign),
    ...duplicateIds(campaign.nodes, "nodes", "node"),
    ...campaign.nodes.flatMap((node, index) => nodeProblems(node, `nodes.${index}`, nodes)),
    ...duplicateIds(campaign.edges, "edges", "edge"),
    ...edgesProblems(campaign, nodes),
    ...structureProblems(campaign),
  ];
}

function settingsProblems({ timeZone, reenrollAfter, quietHours }: Campaign): FieldProblem[] {
  const zone = `must be a time zone of the IANA database, such as Europe/Paris, not "${shortened(timeZone)}"`;
  const isNoTime = quietHours !== null && quietHours.from === quietHours.to;
  return [
    ...problem("timeZone", "the campaign's time zone", isTimeZone(timeZone) ? null : zone),
    ...problem(
      "reenrollAfter",
      "the time after which a contact may enroll again",
      reenrollAfter === null ? null : durationProblem(reenrollAfter, { mayBeNothing: true }),
    ),
    ...problem(
      "quietHours",
      "the quiet hours",
      isNoTime ? "must not end when they begin; null is for none" : null,
    ),
  ];
}

function duplicateIds(items: readonly { id: string }[], list: string, noun: string): FieldProblem[] {
  return repeated(
    items,
    ({ id }) => id,
    ({ id }, index, first) =>
      problem(`${list}.${index}.id`, `${noun} "${id}"`, `has the id of ${list}.${first}; ids must be unique`),
  );
}
