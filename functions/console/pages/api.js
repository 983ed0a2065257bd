// Calls to /v1 with the token of whoever is signed in: deadlines, problems as errors, one try again after a 401.
import { accessToken } from "./signin.js";

const TIMEOUT = 25_000; // milliseconds

/** An answer that is a problem (RFC 9457), or no answer at all (`status` 0). */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || "The answer cannot be read.");
    this.status = status;
    this.title = problem.title;
    this.code = problem.error;
    this.reference = problem.instance?.replace("urn:request:", "");
    this.retryAfter = problem.retryAfter;
  }

  /** A sign-in of the last quarter of an hour is needed. */
  get wantsFreshSignIn() {
    return this.code === "reauthentication_required";
  }

  /** Nobody is signed in any more. */
  get signedOut() {
    return this.status === 401 && !this.wantsFreshSignIn;
  }
}

/** Read JSON. */
export async function get(path, query = {}) {
  return (await request("GET", path, { query })).json();
}

/** Change something; resolves to the answer's JSON, null when there is none. */
export async function send(method, path, body, headers = {}) {
  const answer = await request(method, path, { body, headers });
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

/** The whole answer, for what is not JSON or has headers that matter. */
export async function request(method, path, { query = {}, body, headers = {} } = {}) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) {
    if (value !== "" && value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  let answer = await once(method, url, body, headers, await token());
  if (answer.status === 401 && !(await problemOf(answer.clone())).wantsFreshSignIn) {
    answer = await once(method, url, body, headers, await token({ renewed: true }));
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

async function token(wish) {
  let found;
  try {
    found = await accessToken(wish);
  } catch {
    throw new ApiError(0, { title: "No answer", detail: "Grantkeeper does not answer. Try again in a moment." });
  }
  if (found === null) throw new ApiError(401, { title: "Signed out", detail: "Your session is over. Sign in again." });
  return found;
}

async function once(method, url, body, headers, bearer) {
  const init = { method, headers: { authorization: `Bearer ${bearer}`, ...headers }, cache: "no-store" };
  if (body !== undefined) {
    init.headers["content-type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  try {
    return await fetch(url, { ...init, signal: AbortSignal.timeout(TIMEOUT) });
  } catch {
    throw new ApiError(0, { title: "No answer", detail: "Grantkeeper does not answer. Try again in a moment." });
  }
}

async function problemOf(answer) {
  const problem = await answer.json().catch(() => ({ title: `The answer was ${answer.status}.` }));
  return new ApiError(answer.status, { ...problem, retryAfter: answer.headers.get("retry-after") });
}
