// The audit trail: searched, and a day of it taken away as a file.
import { html, useState } from "./vendor.js";
import { request } from "./api.js";
import { count } from "./format.js";
import { Filters, Pages, usePages } from "./lists.js";
import { announce, Field, Heading, Problem, Section } from "./parts.js";
import { Trail } from "./trail.js";

const FIELDS = [
  { name: "user", label: "User", hint: "The whole id" },
  { name: "actor", label: "Actor", hint: "Such as user:usr_… or key:…" },
  { name: "connection", label: "Connection", hint: "The whole id" },
  { name: "action", label: "Action", hint: "Such as user.suspended, or connection. for all of them" },
  { name: "from", label: "From", type: "datetime-local" },
  { name: "to", label: "Until", type: "datetime-local" },
];
const MOST_PAGES = 500; // of an export: half a million entries of one day, and a browser's memory

const seconds = (local) => (local ? Math.floor(new Date(local).getTime() / 1000) : "");

export function Audit({ query, may }) {
  const asked = Object.fromEntries(FIELDS.map(({ name }) => [name, query[name] ?? ""]));
  const found = usePages("/v1/admin/audit", { ...asked, from: seconds(asked.from), to: seconds(asked.to) }, "events");
  if (!may.audit) return html`<${Heading}>Audit</${Heading}><p>Your role does not read the trail.</p>`;
  return html`<${Heading}>Audit</${Heading}>
    <${Section} title="Take a day away"><${Export} /></${Section}>
    <${Section} title="Search the trail">
      <${Filters} page="audit" query=${query} fields=${FIELDS} />
      <${Pages} of=${found}>${(rows) => html`<${Trail} events=${rows} caption="Audit entries" empty="Nothing in the trail fits this." />`}</${Pages}>
    </${Section}>`;
}

function Export() {
  const today = new Date().toISOString().slice(0, 10);
  const [state, setState] = useState({ busy: false, said: "", error: null });
  const submit = async (event) => {
    event.preventDefault();
    const { day, format } = Object.fromEntries(new FormData(event.currentTarget));
    setState({ busy: true, said: "Fetching …", error: null });
    try {
      const pages = await fetchDay(day, format, (number) => setState({ busy: true, said: `${count(number, "page")} fetched …`, error: null }));
      save(pages, `audit-${day}.${format}`);
      setState({ busy: false, said: `Saved as audit-${day}.${format}.`, error: null });
      announce("The file is saved.");
    } catch (error) {
      setState({ busy: false, said: "", error });
    }
  };
  return html`<form class="filters" onSubmit=${submit}>
      <${Field} label="Day (UTC)"><input type="date" name="day" required max=${today} defaultValue=${today} /></${Field}>
      <${Field} label="As"><select name="format"><option value="csv">CSV, for a spreadsheet</option><option value="ndjson">NDJSON, an entry a line</option></select></${Field}>
      <div class="tools"><button disabled=${state.busy}>Export</button></div>
    </form>
    ${state.error && html`<${Problem} error=${state.error} />`}
    ${state.said && html`<p class="soft" role="status">${state.said}</p>`}`;
}

async function fetchDay(day, format, told) {
  const pages = [];
  let cursor = null;
  do {
    const answer = await request("GET", "/v1/admin/audit/export", { query: { day, format, cursor } });
    pages.push(await answer.blob());
    cursor = answer.headers.get("x-next-cursor");
    told(pages.length);
  } while (cursor && pages.length < MOST_PAGES);
  if (cursor) throw new Error("This day is too long for a browser: use the API, page by page.");
  return pages;
}

function save(parts, name) {
  const url = URL.createObjectURL(new Blob(parts, { type: parts[0].type }));
  const a = document.createElement("a");
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
