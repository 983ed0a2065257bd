// Entries of the audit trail as a table: ids and words, which is all it holds.
import { html } from "./vendor.js";
import { words } from "./format.js";
import { Id, Table, Time } from "./parts.js";
import { link } from "./router.js";

/** `about` shows whom or what an entry is about; a thing's own history leaves it out. */
export function Trail({ events, caption, empty, about = true }) {
  const columns = [
    { title: "When", cell: (e) => html`<${Time} at=${e.time} />` },
    { title: "What", cell: (e) => html`<code>${e.action}</code>` },
    { title: "Who", cell: (e) => html`<${Actor} of=${e.actor} />` },
    about && { title: "About", cell: (e) => html`<${About} of=${e} />` },
    { title: "Reason", cell: (e) => (e.reason ? words(e.reason) : "–") },
    { title: "Details", cell: (e) => html`<${Details} of=${e} />` },
  ];
  return html`<${Table} caption=${caption} rows=${events} empty=${empty} columns=${columns.filter(Boolean)} />`;
}

function Actor({ of }) {
  const sub = /^user(?:_key)?:(usr_[^/:]+)/.exec(of ?? "")?.[1];
  return sub ? html`<a href=${link("users", sub)}><${Id} of=${of} /></a>` : html`<${Id} of=${of} />`;
}

function About({ of }) {
  const things = [
    of.sub && html`<a href=${link("users", of.sub)}><${Id} of=${of.sub} /></a>`,
    of.connection_id && html`<a href=${link("connections", of.connection_id)}><${Id} of=${of.connection_id} /></a>`,
    of.client_id && html`<span>Client <${Id} of=${of.client_id} /></span>`,
    of.provider && html`<span>${of.service ?? of.provider}</span>`,
  ].filter(Boolean);
  return things.length ? html`<ul class="lines">${things.map((thing) => html`<li>${thing}</li>`)}</ul>` : "–";
}

function Details({ of }) {
  const details = Object.entries(of.details ?? {});
  return details.length
    ? html`<ul class="lines small">${details.map(([name, value]) => html`<li>${words(name)}: ${value}</li>`)}</ul>`
    : "–";
}
