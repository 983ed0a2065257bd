// One connection: how it stands and why, what happened to it, and the way to end it.
import { html } from "./vendor.js";
import { get, send } from "./api.js";
import { AskButton } from "./dialog.js";
import { words } from "./format.js";
import { Answer, Facts, Heading, Id, Section, Status, Time, useAnswer } from "./parts.js";
import { link } from "./router.js";
import { Trail } from "./trail.js";

// What a reason means to whoever has to tell the user. The API's own words stand beside it.
const MEANING = {
  revoked_by_user: "The user withdrew the permission at the provider.",
  expired_unused: "Nobody used it for so long that the provider ended it.",
  expired_no_refresh_token: "The provider gave no refresh token, and the access token is over.",
  spent_elsewhere: "Somebody else spent its refresh token: a copy of the tables, or a leak.",
  rotation_outcome_unknown: "The provider changed its token while we could not save the answer.",
  credentials_rejected: "The provider refuses the token or key: it is not good any more.",
  scopes_missing: "The user granted less than the service needs.",
  identity_changed: "The provider answered with another account's tokens.",
};
const UPSTREAM = {
  revocation_queued: "The provider is being told.",
  revoked_upstream: "The provider has ended it too.",
  shared_grant_kept: "Another live connection shares its grant at the provider, which is left alone.",
  manual_url: "The user has to end it at the provider himself.",
  not_supported: "The provider has no way to be told.",
  not_applicable: "There was nothing to end at the provider.",
  abandoned: "The provider could not be told in time.",
  done: "Nothing is left to do at the provider.",
};

export function Connection({ id, may }) {
  const path = `/v1/admin/connections/${encodeURIComponent(id)}`;
  const found = useAnswer(() => get(path), id);
  const name = found.data?.label ?? found.data?.account?.email ?? id;
  const revoke = may.write && found.data && found.data.status !== "revoked" && html`<${AskButton}
    label="Revoke" title="Revoke this connection?" verb="Revoke" danger=${true} done=${found.reload} said="Revoked."
    run=${() => send("DELETE", path)}>
    <p>From this moment nobody gets a token of <b>${name}</b>. The provider is told by its own rule, unless that would cut off
      another live connection. To use it again the user connects again.</p></${AskButton}>`;
  return html`<p><a href=${link("connections")}>All connections</a></p>
    <${Heading} tools=${revoke}>${name}</${Heading}>
    <${Answer} of=${found}>${(data) => html`<${Standing} of=${data} />
      <${Section} title="History" tools=${may.audit && html`<a href=${link("audit", null, { connection: id })}>The whole trail</a>`}>
        <${Trail} events=${data.history} caption="History" empty="The trail holds nothing of it any more." about=${false} />
      </${Section}>`}</${Answer}>`;
}

function Standing({ of }) {
  const over = of.status === "revoked"; // whoever ended it: the reason does not say, the history does
  return html`<${Section} title="How it stands">
    ${over && html`<p>It was ended here; the history says by whom. ${UPSTREAM[of.upstream] ?? ""}
      ${of.manual_url && html`${" "}That is at <code>${of.manual_url}</code>.`}</p>`}
    ${!over && of.reason && html`<p><b>${words(of.reason)}</b>: ${MEANING[of.reason] ?? "see the history."}</p>`}
    <${Facts} of=${[
      ["Status", html`<${Status} of=${of.status} />`],
      ["Service", of.service],
      ["Provider", html`<a href=${link("providers", null, { id: of.provider })}>${of.provider}</a>`],
      ["User", html`<a href=${link("users", of.user_sub)}><${Id} of=${of.user_sub} /></a>`],
      ["Account", of.account && [of.account.name, of.account.email].filter(Boolean).join(", ")],
      ["Client", html`<a href=${link("clients", of.client_id)}>${of.client_id}</a>`],
      ["Scopes", of.scopes?.join(" ")],
      ["Missing scopes", of.missing_scopes?.length ? of.missing_scopes.join(" ") : undefined],
      ["Since", html`<${Time} at=${of.created_at} />`],
      ["Changed", html`<${Time} at=${of.updated_at} />`],
      ["Token last handed out", of.used_day],
      ["Must be connected again by", of.reconnect_by ? html`<${Time} at=${of.reconnect_by} />` : undefined],
      ["Id", html`<${Id} of=${of.id} />`],
    ]} /></${Section}>`;
}
