declare module "mjml-browser" {
  /** `line` counts from 1 in the source. */
  type MjmlError = { line: number; message: string; tagName: string };

  /** MJML as HTML. What `soft` validation finds is in `errors`; what is no MJML at all throws. */
  export default function mjml2html(
    source: string,
    options: { validationLevel: "soft"; fonts: Record<string, string> },
  ): Promise<{ html: string; errors: MjmlError[] }>;
}
