// Clients: the team's applications that are registered here.
import { html, useState } from "./vendor.js";
import { send } from "./api.js";
import { ClientFields, metadataOf } from "./client_form.js";
import { Ask, Secret } from "./dialog.js";
import { proof, words } from "./format.js";
import { Pages, usePages } from "./lists.js";
import { Heading, Id, Section, Status, Table, Time } from "./parts.js";
import { go, link } from "./router.js";

export function Clients({ may }) {
  const clients = usePages("/v1/admin/clients", {}, "clients");
  const [asking, ask] = useState(false);
  const [made, show] = useState(null);
  const done = (client) => (client.client_secret ? show(client) : go("clients", client.client_id));
  return html`<${Heading} tools=${may.write && html`<button type="button" class="main" onClick=${() => ask(true)}>Register a client</button>`}>
      Clients</${Heading}>
    ${asking && html`<${Ask} title="Register a client" verb="Register" said="Registered." close=${() => ask(false)} done=${done}
      run=${(values) => send("POST", "/v1/admin/clients", metadataOf(values))}><${ClientFields} /></${Ask}>`}
    ${made && html`<${Secret} title=${`Secret of ${made.client_name}`} secret=${made.client_secret}
      close=${() => go("clients", made.client_id)} />`}
    <${Section} title="All clients"><${Pages} of=${clients}>${(rows) => html`<${Table} caption="Clients" rows=${rows}
      rowKey=${(c) => c.client_id} empty="No client is registered yet." columns=${[
        { title: "Name", cell: (c) => html`<a href=${link("clients", c.client_id)}>${c.client_name}</a>` },
        { title: "Status", cell: (c) => html`<${Status} of=${c.status} />` },
        { title: "Proves itself by", cell: (c) => proof(c.token_endpoint_auth_method) },
        { title: "Sign-up", cell: (c) => words(c.sign_up) },
        { title: "Since", cell: (c) => html`<${Time} at=${c.created_at} />` },
        { title: "Id", cell: (c) => html`<${Id} of=${c.client_id} />` },
      ]} />`}</${Pages}></${Section}>`;
}
