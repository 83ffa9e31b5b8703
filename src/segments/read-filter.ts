import { contactFilter, type Filter } from "../contacts/filter.ts";
import { AppError } from "../errors.ts";
import { fieldsOf } from "../http/problem.ts";
import type { Segment } from "./queries.ts";

/**
 * The filter of a stored segment.
 * @throws AppError when this version of EDGR no longer takes it
 */
export function readFilter(segment: Segment): Filter {
  const read = contactFilter.safeParse(segment.filter);
  if (read.success) return read.data;
  throw new AppError(
    "conflict",
    `The filter of the segment "${segment.name}" is no longer valid: change it first.`,
    fieldsOf(read.error.issues, ["filter"]),
  );
}

export const noSuchSegment = () => new AppError("not_found", "There is no segment with this id.");
