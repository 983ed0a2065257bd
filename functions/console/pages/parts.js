// Pieces that every page is made of. Whatever comes from outside is a text node or an attribute, never markup.
import { html, useCallback, useEffect, useRef, useState } from "./vendor.js";
import { moment, utc, words } from "./format.js";
import { signInAgain } from "./signin.js";

/** Tell a screen reader what has changed; sighted people see it. */
export function announce(text) {
  const place = document.getElementById("announcer");
  if (place) place.textContent = text;
}

/**
 * Read something, again whenever `key` changes.
 *
 * Returns `{ data, error, loading, reload }`; an answer that comes after a newer question is dropped.
 */
export function useAnswer(read, key) {
  const [state, setState] = useState({ data: null, error: null, loading: true, key });
  const turn = useRef(0);
  const load = useCallback(async () => {
    const mine = ++turn.current;
    setState((old) => ({ data: old.key === key ? old.data : null, error: null, loading: true, key }));
    try {
      const data = await read();
      if (mine === turn.current) setState({ data, error: null, loading: false, key });
    } catch (error) {
      if (mine === turn.current) setState({ data: null, error, loading: false, key });
    }
  }, [key]);
  useEffect(() => {
    load();
    return () => void ++turn.current;
  }, [load]);
  return { ...state, reload: load };
}

/** What a page shows while it waits, when it failed, and when it has something. */
export function Answer({ of, children }) {
  if (of.error) return html`<${Problem} error=${of.error} retry=${of.reload} />`;
  if (of.data === null) return html`<p class="soft loading" role="status">Loading …</p>`;
  return html`<div aria-busy=${of.loading}>${children(of.data)}</div>`;
}

/** An error in words, with what can be done about it. */
export function Problem({ error, retry = null }) {
  const again = error.wantsFreshSignIn || error.signedOut;
  return html`<div class="problem" role="alert">
    <p>${error.wantsFreshSignIn ? "For this you must have signed in within the last 15 minutes." : error.message}</p>
    ${error.reference && !again && html`<p class="soft small">Reference: <code>${error.reference}</code></p>`}
    ${again
      ? html`<button type="button" class="main" onClick=${signInAgain}>Sign in again</button>`
      : retry && html`<button type="button" onClick=${retry}>Try again</button>`}
  </div>`;
}

/** A moment: local for people, UTC when pointed at. `seconds` is epoch seconds or null. */
export function Time({ at, none = "–" }) {
  if (at === null || at === undefined) return none;
  return html`<time datetime=${new Date(at * 1000).toISOString()} title=${utc(at)}>${moment(at)}</time>`;
}

const TONES = {
  active: "good", ok: "good", available: "good", closed: "good", signs: "good",
  pending: "plain", warning: "warn", degraded: "warn", half_open: "warn", rotating: "warn", invited: "plain",
  needs_reauth: "warn", suspended: "bad", failing: "bad", open: "bad", disabled: "bad", expired: "plain",
  revoked: "plain", not_configured: "plain",
};

/** A status, by word and colour. */
export function Status({ of }) {
  if (!of) return "–";
  return html`<span class=${`status ${TONES[of] ?? "plain"}`}>${words(of)}</span>`;
}

/** An identifier that is copied whole. */
export function Id({ of }) {
  return of ? html`<code class="id" title=${of}>${of}</code>` : "–";
}

/**
 * A table that becomes a list of cards where it is narrow; its roles are said, for they are lost with the layout.
 *
 * `columns` is a list of `{ title, cell(row), number, unseen }`; the first names the row, an unseen title is for listeners.
 */
export function Table({ caption, columns, rows, rowKey = (row) => row.id, empty = "There is nothing here." }) {
  if (rows.length === 0) return html`<p class="empty">${empty}</p>`;
  return html`<div class="scroll"><table role="table">
    <caption class="unseen">${caption}</caption>
    <thead role="rowgroup"><tr role="row">
      ${columns.map((c) => html`<th role="columnheader" scope="col" class=${c.number ? "number" : ""}>
        ${c.unseen ? html`<span class="unseen">${c.title}</span>` : c.title}</th>`)}
    </tr></thead>
    <tbody role="rowgroup">${rows.map((row) => html`<tr role="row" key=${rowKey(row)}>
      ${columns.map((c, i) => i === 0
        ? html`<th role="rowheader" scope="row">${c.cell(row)}</th>`
        : html`<td role="cell" data-label=${c.unseen ? "" : c.title} class=${c.number ? "number" : ""}>${c.cell(row)}</td>`)}
    </tr>`)}</tbody>
  </table></div>`;
}

/** Names and values, one below the other; what is undefined is left out. */
export function Facts({ of }) {
  return html`<dl class="facts">${of.filter(([, value]) => value !== undefined).map(
    ([name, value]) => html`<div><dt>${name}</dt><dd>${value === null || value === "" ? "–" : value}</dd></div>`,
  )}</dl>`;
}

/** A section with a heading of its own. */
export function Section({ title, children, tools = null }) {
  return html`<section class="card"><header><h2>${title}</h2>${tools}</header>${children}</section>`;
}

/** A page's heading; the focus comes here when a route is opened. */
export function Heading({ children, tools = null }) {
  const place = useRef(null);
  useEffect(() => place.current.focus(), []);
  return html`<header class="page"><h1 tabindex="-1" ref=${place}>${children}</h1>${tools && html`<div class="tools">${tools}</div>`}</header>`;
}

/** A labelled field. */
export function Field({ label, hint = null, children }) {
  return html`<label class="field"><span>${label}</span>${children}${hint && html`<small class="soft">${hint}</small>`}</label>`;
}

/** A choice among words; "" is any. */
export function Choice({ label, value, options, onChange, any = "Any" }) {
  return html`<${Field} label=${label}><select value=${value ?? ""} onChange=${(e) => onChange(e.target.value)}>
    ${any !== null && html`<option value="">${any}</option>`}
    ${options.map((o) => html`<option value=${o} selected=${o === value}>${words(o)}</option>`)}
  </select></${Field}>`;
}
