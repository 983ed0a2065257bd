// Users: found by e-mail address or id.
import { html } from "./vendor.js";
import { Filters, Pages, usePages } from "./lists.js";
import { Heading, Id, Section, Status, Table, Time } from "./parts.js";
import { words } from "./format.js";
import { link } from "./router.js";

const FIELDS = [
  { name: "q", label: "E-mail or id", hint: "How it begins, or a whole id" },
  { name: "role", label: "Role", options: ["user", "auditor", "admin"] },
  { name: "status", label: "Status", options: ["active", "suspended", "erased"] },
];

export function Users({ query }) {
  const asked = Object.fromEntries(FIELDS.map(({ name }) => [name, query[name] ?? ""]));
  const users = usePages("/v1/admin/users", asked, "users");
  return html`<${Heading}>Users</${Heading}>
    <${Section} title="Find people">
      <${Filters} page="users" query=${query} fields=${FIELDS} />
      <${Pages} of=${users}>${(rows) => html`<${Table} caption="Users" rows=${rows} rowKey=${(user) => user.sub}
        empty="Nobody fits this." columns=${[
          { title: "User", cell: (user) => html`<a href=${link("users", user.sub)}>${user.name ?? user.email ?? "No name"}</a> <${Id} of=${user.sub} />` },
          { title: "E-mail", cell: (user) => user.email ?? "–" },
          { title: "Role", cell: (user) => words(user.role) },
          { title: "Status", cell: (user) => html`<${Status} of=${user.status} />` },
          { title: "Since", cell: (user) => html`<${Time} at=${user.created_at} />` },
        ]} />`}</${Pages}>
    </${Section}>`;
}
