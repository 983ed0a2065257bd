// What somebody registers of a client (RFC 7591's names), as fields and back.
import { html, useState } from "./vendor.js";
import { Answer, Field, useAnswer } from "./parts.js";
import { supportedScopes } from "./signin.js";
import { proof } from "./format.js";

const METHODS = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];
const LISTS = [
  ["redirect_uris", "Redirect URIs", "Exact, one a line"],
  ["origins", "Browser origins", "That may call us (CORS), one a line"],
  ["post_logout_redirect_uris", "Redirect URIs after signing out", "One a line"],
  ["providers", "Providers that sign its users in", "One a line; * is all"],
  ["services", "Services it may connect", "One a line; * is all"],
  ["resources", "APIs its tokens may be for", "RFC 8707, one a line"],
  ["sign_up_domains", "Domains that may sign up", "With sign-up by domains, one a line"],
];
const DEFAULTS = {
  client_name: "", token_endpoint_auth_method: "none", sign_up: "open", id_token_signed_response_alg: "RS256",
  scopes: ["openid", "profile", "email", "connections:read", "connections:write"], providers: ["*"], services: ["*"],
};

/** The fields; `of` is the client as the API shows it, null for a new one. */
export function ClientFields({ of = null }) {
  const client = of ?? DEFAULTS;
  const [method, choose] = useState(client.token_endpoint_auth_method);
  const scopes = useAnswer(supportedScopes, "scopes");
  const select = (name, options, change = null) => html`<select name=${name} onChange=${change}>${options.map(
    ([value, text]) => html`<option value=${value} selected=${value === client[name]}>${text}</option>`)}</select>`;
  return html`<div class="stack">
    <${Field} label="Name"><input name="client_name" required maxlength="100" autocomplete="off" defaultValue=${client.client_name} /></${Field}>
    <${Field} label="Proves itself by">${select("token_endpoint_auth_method", METHODS.map((each) => [each, proof(each)]), (event) => choose(event.target.value))}</${Field}>
    ${method === "private_key_jwt" && html`<${Field} label="Public keys" hint="A JSON list of keys (RFC 7517)">
      <textarea name="jwks" rows="4" required spellcheck="false" defaultValue=${JSON.stringify(client.jwks ?? [], null, 1)}></textarea></${Field}>`}
    <${List} name=${LISTS[0]} of=${client} required=${true} />
    <fieldset class="checks"><legend>Scopes, the most its tokens may have</legend>
      <${Answer} of=${scopes}>${(names) => names.map((scope) => html`<label>
        <input type="checkbox" name="scopes" value=${scope} defaultChecked=${client.scopes.includes(scope)} />${scope}</label>`)}</${Answer}></fieldset>
    <${Field} label="Sign-up">${select("sign_up", [["open", "Open to everybody"], ["invited", "Who has an account here"], ["domains", "Listed domains"]])}</${Field}>
    <details><summary>More</summary><div class="stack">
      ${LISTS.slice(1).map((each) => html`<${List} name=${each} of=${client} />`)}
      <${Field} label="ID tokens signed with">${select("id_token_signed_response_alg", [["RS256", "RS256"], ["ES256", "ES256"]])}</${Field}>
    </div></details></div>`;
}

function List({ name: [name, label, hint], of, required = false }) {
  return html`<${Field} label=${label} hint=${hint}><textarea name=${name} rows="2" spellcheck="false" required=${required}
    defaultValue=${(of[name] ?? []).join("\n")}></textarea></${Field}>`;
}

/** The body of a registration, from a form's values. */
export function metadataOf(values) {
  const body = { scopes: values.getAll("scopes") };
  for (const name of ["client_name", "token_endpoint_auth_method", "sign_up", "id_token_signed_response_alg"]) body[name] = values.get(name);
  for (const [name] of LISTS) body[name] = values.get(name).split("\n").map((line) => line.trim()).filter(Boolean);
  if (values.get("jwks")) body.jwks = keysOf(values.get("jwks"));
  return body;
}

function keysOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("The public keys are not JSON.");
  }
}
