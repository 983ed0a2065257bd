// Lists in pages, and the filters above them.
import { html, useCallback, useEffect, useRef, useState } from "./vendor.js";
import { get } from "./api.js";
import { count, words } from "./format.js";
import { announce, Field, Problem } from "./parts.js";
import { go } from "./router.js";

const SHORT_PAGES = 8; // asked for in a row before somebody has to press a button: with filters a page may be empty

/**
 * A list read page by page, from its start whenever path or query change.
 *
 * `name` is the member of the answer that holds the rows. Returns `{ rows, cursor, error, loading, more, reload }`.
 */
export function usePages(path, query, name) {
  const key = `${path} ${JSON.stringify(query)}`;
  const [state, setState] = useState({ rows: null, cursor: null, error: null, loading: true });
  const turn = useRef(0);
  const load = useCallback(async (cursor, before) => {
    const mine = ++turn.current;
    setState((old) => ({ ...old, error: null, loading: true }));
    try {
      const found = await some(path, query, name, cursor);
      if (mine !== turn.current) return;
      const rows = [...before, ...found.rows];
      setState({ rows, cursor: found.cursor, error: null, loading: false });
      announce(`${count(rows.length, "row")} shown${found.cursor ? ", there are more" : ""}.`);
    } catch (error) {
      if (mine === turn.current) setState((old) => ({ ...old, error, loading: false }));
    }
  }, [key]);
  useEffect(() => {
    load(null, []);
    return () => void ++turn.current;
  }, [load]);
  return { ...state, more: () => load(state.cursor, state.rows), reload: () => load(null, []) };
}

async function some(path, query, name, start) {
  let cursor = start;
  for (let turn = 0; turn < SHORT_PAGES; turn += 1) {
    const page = await get(path, { limit: 50, ...query, cursor });
    cursor = page.cursor ?? null;
    if (page[name].length > 0 || cursor === null) return { rows: page[name], cursor };
  }
  return { rows: [], cursor };
}

/** What a list shows: its table, how much of it, and the way to more. */
export function Pages({ of, children }) {
  return html`
    ${of.error && html`<${Problem} error=${of.error} retry=${of.rows ? of.more : of.reload} />`}
    ${of.rows === null
      ? of.loading && html`<p class="soft loading" role="status">Loading …</p>`
      : html`<div aria-busy=${of.loading}>${children(of.rows)}</div>
        <div class="more"><span class="soft">${count(of.rows.length, "row")}${of.cursor ? " so far" : ""}</span>
          ${of.cursor && html`<button type="button" onClick=${of.more} disabled=${of.loading}>Show more</button>`}</div>`}`;
}

/**
 * Filters of a list; what is chosen goes into the route.
 *
 * `fields` is a list of `{ name, label, options, type, hint }`; with options it is a choice.
 */
export function Filters({ page, query, fields }) {
  const apply = (form) => go(page, null, Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()])));
  const submit = (event) => {
    event.preventDefault();
    apply(event.currentTarget);
  };
  const used = fields.some((field) => query[field.name]);
  const open = used || matchMedia("(min-width: 48rem)").matches; // on a phone what was found comes first
  return html`<details class="sieve" open=${open} key=${page}><summary>Filters</summary><form class="filters" role="search" onSubmit=${submit} key=${JSON.stringify(query)}>
    ${fields.map((field) => html`<${Field} label=${field.label} hint=${field.hint}>${field.options
      ? html`<select name=${field.name} onChange=${(event) => apply(event.target.form)}>
          <option value="">Any</option>
          ${field.options.map((option) => html`<option value=${option} selected=${option === query[field.name]}>${words(option)}</option>`)}
        </select>`
      : html`<input name=${field.name} type=${field.type ?? "search"} autocomplete="off" spellcheck="false" defaultValue=${query[field.name] ?? ""} />`}
    </${Field}>`)}
    <div class="tools"><button class="main">Search</button>
      ${used && html`<button type="button" onClick=${() => go(page)}>Clear</button>`}</div>
  </form></details>`;
}
