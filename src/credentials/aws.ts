import { invalid } from "../http/problem.ts";
import type { SesGiven, SmtpSettings } from "./schema.ts";

/** Keys of an AWS account, opened. */
export type AwsKeys = { region: string; accessKeyId: string; secretAccessKey: string };

type Ses = SmtpSettings["ses"];

/**
 * Takes the secret out of what is given as `ses`.
 * @param present what the credential has so far
 * @returns `secret`: a new one; undefined where the present one, if any, stays
 * @throws AppError when keys come without their secret
 */
export function splitAwsSecret(
  given: SesGiven | null,
  present: Ses,
): { ses: Ses; secret: string | undefined } {
  if (given === null || given.aws === null)
    return { ses: given === null ? null : { ...given, aws: null }, secret: undefined };
  const { secretAccessKey, ...aws } = given.aws;
  if (secretAccessKey === undefined && present?.aws?.accessKeyId !== aws.accessKeyId)
    throw invalid([{ field: "ses.aws.secretAccessKey", reason: "is required with another access key" }]);
  return { ses: { ...given, aws }, secret: secretAccessKey };
}
