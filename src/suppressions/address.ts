import { email } from "../http/fields.ts";

const emailSchema = email();

/**
 * A domain as the list keeps it: `@example.com`, in lower case. It stands for every address at exactly this domain,
 * not for those at its subdomains.
 * @returns null when it is not a domain an email address could have
 */
export function domainAddress(domain: string): string | null {
  return emailSchema.safeParse(`a@${domain}`).success ? `@${domain.toLowerCase()}` : null;
}
