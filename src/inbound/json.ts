/** @returns undefined for what is no JSON, which is no JSON value itself */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
