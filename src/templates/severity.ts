/** How bad it is: it does not work, it harms, it could be better. */
export const SEVERITIES = ["error", "warning", "info"] as const;

export type Severity = (typeof SEVERITIES)[number];
