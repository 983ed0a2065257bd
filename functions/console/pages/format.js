// Numbers and times as people read them, in the browser's own language.
const NUMBER = new Intl.NumberFormat();
const PERCENT = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });

export const number = (value) => NUMBER.format(value ?? 0);
export const share = (part, whole) => (whole ? PERCENT.format(part / whole) : "–");
export const moment = (seconds) => MOMENT.format(new Date(seconds * 1000));
export const utc = (seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`;
export const day = (text) => DAY.format(new Date(`${text}T00:00:00Z`));

/** needs_reauth → Needs reauth: a word of the API, read as one. */
export const words = (name) => {
  const text = String(name ?? "").replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
};

/** "1 user", "2 users". */
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** How a client shows that it is itself, for people. */
export const proof = (method) => ({
  none: "PKCE alone (public)",
  client_secret_basic: "a secret, in a header",
  client_secret_post: "a secret, in the body",
  private_key_jwt: "a signature",
})[method] ?? method;
