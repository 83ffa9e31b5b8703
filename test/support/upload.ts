import type { Answer, TestApp, TestCustomer } from "./app.ts";

/** Sends a file as the body of a POST. */
export async function uploadFile(
  api: TestApp,
  path: string,
  file: string | Uint8Array,
  customer: TestCustomer = api.customer,
): Promise<Answer> {
  const headers = { Authorization: `Bearer ${customer.key}`, "Content-Type": "text/csv" };
  const body = new Uint8Array(Buffer.from(file));
  const response = await api.app.request(path, { method: "POST", headers, body }, { ip: null });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: JSON.parse(text) };
}
