// API keys of clients, users and the operator: listed, made for clients, revoked. A key's text is shown once.
import { html, useState } from "./vendor.js";
import { send } from "./api.js";
import { Ask, AskButton, Secret } from "./dialog.js";
import { Filters, Pages, usePages } from "./lists.js";
import { Field, Heading, Id, Section, Status, Table, Time } from "./parts.js";
import { link } from "./router.js";

const FIELDS = [
  { name: "client_id", label: "Client", hint: "The whole id" },
  { name: "user", label: "User", hint: "The whole id, for keys of their own" },
];
const SCOPES = ["connections:read", "connections:write", "users:read", "users:write", "account:write"];

export function ApiKeys({ query, may }) {
  return html`<${Heading}>API keys</${Heading}>
    <${Section} title="Find keys">
      <${Filters} page="api-keys" query=${query} fields=${FIELDS} />
      <${Keys} clientId=${query.client_id} user=${query.user} may=${may} />
    </${Section}>
    <p class="soft">Keys that administer, and keys that read tokens, are made with AWS credentials alone: <code>grantkeeper api-keys create</code>.</p>`;
}

/** A list of keys, with what can be done to them. */
export function Keys({ clientId = "", user = "", may }) {
  const keys = usePages("/v1/admin/api-keys", { client_id: clientId, user }, "api_keys");
  const [asking, ask] = useState(false);
  const [made, show] = useState(null);
  const revoke = (key) => html`<${AskButton} label="Revoke" danger=${true} title=${`Revoke ${key.name || key.id}?`} verb="Revoke" said="Revoked."
    run=${() => send("DELETE", `/v1/admin/api-keys/${encodeURIComponent(key.id)}`)} done=${keys.reload}>
    <p>Within a minute it is refused everywhere. It cannot be brought back.</p></${AskButton}>`;
  const columns = [
    { title: "Name", cell: (k) => k.name || k.id },
    { title: "Of", cell: (k) => html`<${Owner} of=${k} />` },
    { title: "Scopes", cell: (k) => k.scopes.join(" ") },
    { title: "Status", cell: (k) => html`<${Status} of=${k.status} />` },
    { title: "Last used", cell: (k) => k.used_day ?? "never" },
    { title: "Ends", cell: (k) => html`<${Time} at=${k.expires_at} />` },
    may.write && { title: "Actions", unseen: true, cell: (k) => (k.status === "revoked" ? "" : revoke(k)) },
  ];
  return html`
    ${may.write && html`<p><button type="button" onClick=${() => ask(true)}>Make a key for a client</button></p>`}
    ${asking && html`<${Ask} title="A key for a client's backend" verb="Make it" said="Made." close=${() => ask(false)} done=${show}
      run=${(values) => send("POST", "/v1/admin/api-keys", wanted(values))}><${KeyFields} clientId=${clientId} /></${Ask}>`}
    ${made && html`<${Secret} title=${`The key ${made.name}`} secret=${made.api_key} close=${() => { show(null); keys.reload(); }} />`}
    <${Pages} of=${keys}>${(rows) => html`<${Table} caption="API keys" rows=${rows} empty="There is no such key."
      columns=${columns.filter(Boolean)} />`}</${Pages}>`;
}

function Owner({ of }) {
  if (of.user) return html`<a href=${link("users", of.user)}><${Id} of=${of.user} /></a>`;
  return of.client_id ? html`<a href=${link("clients", of.client_id)}><${Id} of=${of.client_id} /></a>` : "the operator";
}

function KeyFields({ clientId }) {
  return html`<div class="stack">
    <${Field} label="Client" hint="Its id"><input name="client_id" required autocomplete="off" spellcheck="false" defaultValue=${clientId} /></${Field}>
    <${Field} label="Name" hint="What it is for"><input name="name" required maxlength="100" autocomplete="off" /></${Field}>
    <fieldset class="checks"><legend>Scopes</legend>${SCOPES.map((scope) => html`<label>
      <input type="checkbox" name="scopes" value=${scope} />${scope}</label>`)}
      <small class="soft">connections:token is given by <code>grantkeeper api-keys create</code> alone.</small></fieldset>
    <${Field} label="Good for, in days"><input name="days" type="number" min="1" max="365" required defaultValue="90" /></${Field}>
  </div>`;
}

function wanted(values) {
  const scopes = values.getAll("scopes");
  if (scopes.length === 0) throw new Error("Choose a scope at least.");
  return { client_id: values.get("client_id").trim(), name: values.get("name").trim(), scopes, expires_in_days: Number(values.get("days")) };
}
