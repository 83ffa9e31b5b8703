/** A connection that was not made, because its name could not be looked up; why is its cause. */
export class FailedLookup extends Error {}
