// Providers: whether they answer, whether they know us, and the switch.
import { html } from "./vendor.js";
import { get, send } from "./api.js";
import { AskButton } from "./dialog.js";
import { count, number, words } from "./format.js";
import { Answer, Facts, Field, Heading, Section, Status, Time, useAnswer } from "./parts.js";
import { link } from "./router.js";

export function Providers({ query, may }) {
  const answer = useAnswer(() => get("/v1/admin/providers"), "providers");
  return html`<${Heading}>Providers</${Heading}>
    <${Answer} of=${answer}>${({ providers }) => {
      const shown = query.id ? providers.filter((each) => each.id === query.id) : providers;
      const known = shown.filter((each) => each.state !== "not_configured");
      const others = shown.filter((each) => each.state === "not_configured");
      return html`
        ${query.id && html`<p><a href=${link("providers")}>All providers</a></p>`}
        ${known.map((each) => html`<${Provider} key=${each.id} of=${each} may=${may} reload=${answer.reload} />`)}
        ${known.length === 0 && html`<p class="empty">No provider is configured here. <code>grantkeeper providers configure</code> adds one.</p>`}
        ${others.length > 0 && html`<${Section} title=${`Not configured (${number(others.length)})`}>
          <p class="soft">Their records are here, our credentials are not: <code>grantkeeper providers configure</code>.</p>
          <ul class="words">${others.map((each) => html`<li>${each.display_name} <span class="soft">${each.id}</span></li>`)}</ul>
        </${Section}>`}`;
    }}</${Answer}>`;
}

function Provider({ of, may, reload }) {
  const path = `/v1/admin/providers/${encodeURIComponent(of.id)}`;
  const disabled = of.state === "disabled";
  const reason = html`<${Field} label="Reason, for the trail"><input name="reason" maxlength="200" autocomplete="off" /></${Field}>`;
  const change = (verb) => (values) => send("POST", `${path}/${verb}`, { reason: values.get("reason") || null });
  const tools = html`<${Status} of=${of.state} />${may.write && (disabled
    ? html`<${AskButton} label="Switch on" title=${`Switch ${of.display_name} on?`} verb="Switch on" run=${change("enable")} done=${reload} said="Switched on.">
        <p>Within a minute users sign in and connect here again.</p>${reason}</${AskButton}>`
    : html`<${AskButton} label="Switch off" danger=${true} title=${`Switch ${of.display_name} off?`} verb="Switch off" run=${change("disable")} done=${reload} said="Switched off.">
        <p>Within a minute nobody signs in or connects here. Connections that exist go on being refreshed.</p>${reason}</${AskButton}>`)}`;
  const { breaker } = of;
  return html`<${Section} title=${of.display_name} tools=${html`<div class="tools">${tools}</div>`}>
    ${of.last_error && html`<p class="problem">Our registration was refused: <b>${words(of.last_error.error)}</b>, ${" "}<${Time} at=${of.last_error.at} />. Mend it there, or with <code>grantkeeper providers configure</code>.</p>`}
    <${Facts} of=${[
      ["Breaker", html`<${Status} of=${breaker.state} />${breaker.open_until && breaker.state !== "closed" ? html` until <${Time} at=${breaker.open_until} />` : ""}`],
      ["Failures in a row", number(breaker.failures)],
      ["Last failure", html`<${Time} at=${breaker.failed_at} none="none" />`],
      ["Credentials", held(of)],
      ["Services", of.services.join(", ")],
      ["Connections", html`<${Counts} of=${of} />`],
    ]} /></${Section}>`;
}

function held({ credentials, state }) {
  if (!credentials.registered) return state === "available" ? "each user's own" : "missing";
  return `${count(credentials.live, "live registration")}${credentials.secret ? "" : ", no secret"}`;
}

function Counts({ of }) {
  const found = Object.entries(of.connections).filter(([, times]) => times > 0);
  if (found.length === 0) return "none";
  return html`<ul class="words">${found.map(([status, times]) => html`<li>
    <a href=${link("connections", null, { provider: of.id, status })}>${number(times)} ${words(status).toLowerCase()}</a></li>`)}</ul>`;
}
