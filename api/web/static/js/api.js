// Asking the API: session cookie, CSRF token, one idempotency key an intention, problems as one kind of error.

const token = document.querySelector('meta[name="csrf-token"]')?.content;

/** What the API refused: `code`, `title`, `detail`, and `errors` with a JSON pointer each. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || String(status));
    this.status = status;
    this.code = body.code ?? "internal";
    this.errors = body.errors ?? [];
  }
}

/** A key under which the same intention is done once, however often it is sent. */
export const intention = () => crypto.randomUUID();

export async function ask(method, url, { body, key, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && token) headers["X-CSRF-Token"] = token;
  if (key) headers["Idempotency-Key"] = key;
  let response;
  try {
    response = await fetch(url, {
      method, headers, signal, credentials: "same-origin", body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { code: "offline", title: error.message });
  }
  const text = await response.text();
  let answer = {};
  try {
    answer = text ? JSON.parse(text) : {};
  } catch {
    throw new Problem(response.status, { title: response.statusText });
  }
  if (!response.ok) throw new Problem(response.status, answer);
  return answer;
}
