// One user: who he is, what is his, and what an admin may do to him.
import { html } from "./vendor.js";
import { get, send } from "./api.js";
import { AskButton } from "./dialog.js";
import { words } from "./format.js";
import { Answer, Facts, Field, Heading, Id, Section, Status, Table, Time, useAnswer } from "./parts.js";
import { link } from "./router.js";
import { Traces } from "./traces.js";

const REASONS = ["abuse", "compromised", "left", "requested", "other"];
const ROLES = ["user", "auditor", "admin"];

export function User({ id, may, me }) {
  const path = `/v1/admin/users/${encodeURIComponent(id)}`;
  const user = useAnswer(() => get(path), id);
  const known = user.data;
  const tools = may.write && known && known.status !== "erased"
    && html`<${Actions} user=${known} me=${me} path=${path} reload=${user.reload} />`;
  return html`<p><a href=${link("users")}>All users</a></p>
    <${Heading} tools=${tools}>${known?.name ?? known?.email ?? id}</${Heading}>
    <${Answer} of=${user}>${(data) => html`
      <${Profile} user=${data} may=${may} />
      ${data.status !== "erased" && html`<${Belongings} user=${data} />`}
      <${Traces} path=${path} sub=${id} erased=${data.status === "erased"} may=${may} />`}</${Answer}>`;
}

function Actions({ user, me, path, reload }) {
  const own = user.sub === me.sub;
  const name = user.name ?? user.email ?? user.sub;
  if (own) return html`<p class="soft">This is you: another admin changes your role or suspends you.</p>`;
  return html`
    ${user.status === "active"
      ? html`<${AskButton} label="Suspend" title=${`Suspend ${name}?`} verb="Suspend" danger=${true} done=${reload} said="Suspended."
          run=${(values) => send("POST", `${path}/suspend`, { reason: values.get("reason") || null })}>
          <p>Within a minute nothing of theirs works any more: sign-ins, tokens, keys. Their connections stay.</p>
          <${Field} label="Reason"><select name="reason"><option value="">None given</option>
            ${REASONS.map((reason) => html`<option value=${reason}>${words(reason)}</option>`)}</select></${Field}>
        </${AskButton}>`
      : html`<${AskButton} label="Let in again" title=${`Let ${name} in again?`} verb="Let in" done=${reload} said="Let in again."
          run=${() => send("POST", `${path}/resume`, {})}><p>They can sign in again, and their keys work.</p></${AskButton}>`}
    <${AskButton} label="Change role" title=${`Role of ${name}`} verb="Give role" done=${reload} said="Role changed."
      run=${(values) => send("PUT", `${path}/role`, { role: values.get("role") })}>
      <p>It counts within a minute. An auditor sees everything, an admin changes it too.</p>
      <${Field} label="Role"><select name="role">${ROLES.map(
        (role) => html`<option value=${role} selected=${role === user.role}>${words(role)}</option>`)}</select></${Field}>
    </${AskButton}>
    <${AskButton} label="Erase" title=${`Erase ${name}?`} verb="Erase for good" danger=${true} typed=${user.sub} done=${reload}
      said="Erasure has begun." run=${() => send("POST", `${path}/erase`, { confirm: user.sub })}>
      <p>Everything of theirs is removed: profile, identities, sessions, keys, connections with their grants, which are revoked at
        their providers. What the audit trail must keep stays under their id alone. This cannot be undone.</p>
    </${AskButton}>`;
}

function Profile({ user, may }) {
  return html`<${Section} title="Profile" tools=${may.audit && html`<a href=${link("audit", null, { user: user.sub })}>In the audit trail</a>`}>
    <${Facts} of=${[
      ["Status", html`<${Status} of=${user.status} />`],
      ["Role", words(user.role)],
      ["E-mail", user.email && html`${user.email} <span class="soft">${user.email_verified ? "verified" : "not verified"}</span>`],
      ["Language", user.locale],
      ["Set by the user", Object.entries(user.overrides ?? {}).map(([name, value]) => `${words(name)}: ${value}`).join(", ")],
      ["Since", html`<${Time} at=${user.created_at} />`],
      ["Changed", html`<${Time} at=${user.updated_at} />`],
      ["Id", html`<${Id} of=${user.sub} />`],
    ]} /></${Section}>`;
}

function Belongings({ user }) {
  const title = (name, kind, rows) => {
    const all = user.counts?.[kind] ?? rows.length;
    return `${name} (${all > rows.length ? `${rows.length} of ${all}` : all})`;
  };
  return html`
    <${Section} title=${title("Connections", "connections", user.connections)}
      tools=${html`<a href=${link("connections", null, { user: user.sub })}>As a list</a>`}>
      <${Table} caption="Connections" rows=${user.connections} empty="Nothing is connected." columns=${[
        { title: "Account", cell: (c) => html`<a href=${link("connections", c.id)}>${c.label ?? c.id}</a>` },
        { title: "Service", cell: (c) => c.service },
        { title: "Status", cell: (c) => html`<${Status} of=${c.status} />` },
        { title: "Reason", cell: (c) => (c.reason && c.status !== "revoked" ? words(c.reason) : "–") },
        { title: "Since", cell: (c) => html`<${Time} at=${c.created_at} />` },
      ]} /></${Section}>
    <${Section} title=${title("Identities", "identities", user.identities)}>
      <${Table} caption="Identities" rows=${user.identities} empty="There is none." columns=${[
        { title: "Provider", cell: (i) => i.provider },
        { title: "E-mail", cell: (i) => i.email ?? "–" },
        { title: "Issuer", cell: (i) => i.issuer },
        { title: "Linked", cell: (i) => html`<${Time} at=${i.linked_at} />` },
      ]} /></${Section}>
    <${Section} title=${title("Sessions", "sessions", user.sessions)}>
      <${Table} caption="Sessions" rows=${user.sessions} rowKey=${(s) => s.sid} empty="Signed in nowhere." columns=${[
        { title: "Client", cell: (s) => s.client_id },
        { title: "Through", cell: (s) => s.provider },
        { title: "Signed in", cell: (s) => html`<${Time} at=${s.created_at} />` },
        { title: "Last used", cell: (s) => html`<${Time} at=${s.last_used_at} />` },
        { title: "Ends", cell: (s) => html`<${Time} at=${s.expires_at} />` },
      ]} /></${Section}>
    <${Section} title=${title("Consents", "consents", user.consents)}>
      <${Table} caption="Consents" rows=${user.consents} rowKey=${(c) => `${c.client_id} ${c.connection_id}`} empty="No client may use anything." columns=${[
        { title: "Client", cell: (c) => c.client_name ?? c.client_id },
        { title: "Connection", cell: (c) => html`<a href=${link("connections", c.connection_id)}>${c.label ?? c.service ?? c.connection_id}</a>` },
        { title: "Given", cell: (c) => html`<${Time} at=${c.granted_at} />` },
        { title: "Withdrawn", cell: (c) => html`<${Time} at=${c.withdrawn_at} />` },
      ]} /></${Section}>
    <${Section} title=${title("API keys", "api_keys", user.api_keys)}>
      <${Table} caption="API keys" rows=${user.api_keys} empty="There are none." columns=${[
        { title: "Name", cell: (k) => k.name || k.id },
        { title: "Client", cell: (k) => k.client_id },
        { title: "Scopes", cell: (k) => k.scopes.join(" ") },
        { title: "Status", cell: (k) => html`<${Status} of=${k.status} />` },
        { title: "Last used", cell: (k) => k.used_day ?? "–" },
        { title: "Ends", cell: (k) => html`<${Time} at=${k.expires_at} />` },
      ]} /></${Section}>`;
}
