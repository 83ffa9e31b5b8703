/** A connection that was not made, because of where it would have led. The message follows "it ". */
export class RefusedAddress extends Error {}
