// Connections of everybody: by provider, service, status or user.
import { html } from "./vendor.js";
import { words } from "./format.js";
import { Filters, Pages, usePages } from "./lists.js";
import { Heading, Id, Section, Status, Table, Time } from "./parts.js";
import { link } from "./router.js";

const FIELDS = [
  { name: "provider", label: "Provider", hint: "Its id, such as google" },
  { name: "service", label: "Service", hint: "Its id, such as gmail" },
  { name: "status", label: "Status", options: ["pending", "active", "needs_reauth", "revoked"] },
  { name: "user", label: "User", hint: "The whole id" },
];

export function Connections({ query }) {
  const asked = Object.fromEntries(FIELDS.map(({ name }) => [name, query[name] ?? ""]));
  const found = usePages("/v1/admin/connections", asked, "connections");
  return html`<${Heading}>Connections</${Heading}>
    <${Section} title="Find connections">
      <${Filters} page="connections" query=${query} fields=${FIELDS} />
      <${Pages} of=${found}>${(rows) => html`<${Table} caption="Connections" rows=${rows}
        empty="There is no such connection." columns=${[
          { title: "Account", cell: (c) => html`<a href=${link("connections", c.id)}>${c.label ?? c.account?.email ?? c.id}</a>` },
          { title: "Service", cell: (c) => c.service },
          { title: "Provider", cell: (c) => c.provider },
          { title: "Status", cell: (c) => html`<${Status} of=${c.status} />` },
          { title: "Reason", cell: (c) => (c.reason && c.status !== "revoked" ? words(c.reason) : "–") },
          { title: "User", cell: (c) => html`<a href=${link("users", c.user_sub)}><${Id} of=${c.user_sub} /></a>` },
          { title: "Changed", cell: (c) => html`<${Time} at=${c.updated_at} />` },
        ]} />`}</${Pages}>
    </${Section}>`;
}
