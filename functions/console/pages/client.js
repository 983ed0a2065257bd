// One client: its registration, its secrets, its keys, and the switch.
import { html, useState } from "./vendor.js";
import { request, send } from "./api.js";
import { Keys } from "./api_keys.js";
import { ClientFields, metadataOf } from "./client_form.js";
import { Ask, AskButton, Secret } from "./dialog.js";
import { number, proof, words } from "./format.js";
import { Answer, Facts, Heading, Id, Section, Status, Time, useAnswer } from "./parts.js";
import { link } from "./router.js";

export function Client({ id, may }) {
  const path = `/v1/admin/clients/${encodeURIComponent(id)}`;
  const read = async () => {
    const answer = await request("GET", path);
    return { client: await answer.json(), etag: answer.headers.get("etag") };
  };
  const found = useAnswer(read, id);
  const known = found.data?.client;
  return html`<p><a href=${link("clients")}>All clients</a></p>
    <${Heading} tools=${may.write && known && html`<${Actions} found=${found.data} path=${path} reload=${found.reload} />`}>
      ${known?.client_name ?? id}</${Heading}>
    <${Answer} of=${found}>${({ client }) => html`<${Registration} of=${client} />
      <${Section} title="API keys"><${Keys} clientId=${id} may=${may} /></${Section}>`}</${Answer}>`;
}

function Actions({ found: { client, etag }, path, reload }) {
  const [editing, edit] = useState(false);
  const [secret, show] = useState(null);
  const change = (values) => send("PUT", path, { ...metadataOf(values) }, { "if-match": etag });
  const name = client.client_name;
  return html`
    <button type="button" onClick=${() => edit(true)}>Change</button>
    ${editing && html`<${Ask} title=${`Change ${name}`} verb="Save" said="Saved." run=${change} done=${reload} close=${() => edit(false)}>
      <${ClientFields} of=${client} /></${Ask}>`}
    ${client.has_secret && html`<${AskButton} label="New secret" title=${`A new secret for ${name}?`} verb="Make it"
      run=${() => send("POST", `${path}/secrets`, { keep_previous: true })} done=${(made) => show(made.client_secret)}>
      <p>The one in use stays good beside it until you end it. Two can be good at a time.</p></${AskButton}>`}
    ${client.live_secrets > 1 && html`<${AskButton} label="End the old secret" danger=${true} title="End the old secret?" verb="End it"
      run=${() => send("DELETE", `${path}/secrets`)} done=${reload} said="Ended.">
      <p>Within a minute the newest secret alone is good.</p></${AskButton}>`}
    ${secret && html`<${Secret} title=${`Secret of ${name}`} secret=${secret} close=${() => { show(null); reload(); }} />`}
    ${client.status === "active"
      ? html`<${AskButton} label="Switch off" danger=${true} title=${`Switch ${name} off?`} verb="Switch off" said="Switched off."
          run=${() => send("POST", `${path}/disable`, {})} done=${reload}>
          <p>Within a minute its users' sessions, its tokens and every key at it are refused. Nothing is removed.</p></${AskButton}>`
      : html`<${AskButton} label="Switch on" title=${`Switch ${name} on?`} verb="Switch on" said="Switched on."
          run=${() => send("POST", `${path}/enable`, {})} done=${reload}><p>It is let in again with everything it had.</p></${AskButton}>`}`;
}

function Registration({ of }) {
  const list = (values) => (values.length ? html`<ul class="lines">${values.map((value) => html`<li>${value}</li>`)}</ul>` : undefined);
  return html`<${Section} title="Registration"><${Facts} of=${[
    ["Status", html`<${Status} of=${of.status} />`],
    ["Proves itself by", proof(of.token_endpoint_auth_method)],
    ["Live secrets", of.has_secret ? number(of.live_secrets) : undefined],
    ["Public keys", of.jwks.length ? number(of.jwks.length) : undefined],
    ["Redirect URIs", list(of.redirect_uris)],
    ["After signing out", list(of.post_logout_redirect_uris)],
    ["Browser origins", list(of.origins)],
    ["Scopes", of.scopes.join(" ")],
    ["Providers", of.providers.join(" ")],
    ["Services", of.services.join(" ")],
    ["Sign-up", `${words(of.sign_up)}${of.sign_up_domains.length ? `: ${of.sign_up_domains.join(" ")}` : ""}`],
    ["APIs", list(of.resources)],
    ["ID tokens signed with", of.id_token_signed_response_alg],
    ["Since", html`<${Time} at=${of.created_at} />`],
    ["Id", html`<${Id} of=${of.client_id} />`],
  ]} /></${Section}>`;
}
