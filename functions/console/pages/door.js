// Before the console: signing in, and what somebody without a role is told.
import { html, useState } from "./vendor.js";
import { Answer, useAnswer } from "./parts.js";
import { begin, signOut } from "./signin.js";

const REASONS = {
  access_denied: "You were not let in. The console is for people who have an account here already: sign in at one of your team's applications first, or ask an operator. Somebody who is suspended is not let in either.",
  temporarily_unavailable: "Signing in does not work at the moment. Try again in a minute.",
  login_required: "The provider wants to see you: choose how to sign in.",
};

export function SignIn({ error = null }) {
  const offered = useAnswer(async () => {
    const answer = await fetch("/v1/providers", { signal: AbortSignal.timeout(20_000) });
    if (!answer.ok) throw new Error("Grantkeeper does not answer. Try again in a moment.");
    const able = (each) => each.sign_in && (each.state === "available" || each.state === "degraded");
    return (await answer.json()).providers.filter(able);
  }, "providers");
  const [failed, setFailed] = useState(null);
  const leave = (provider) => begin({ provider }).catch(setFailed);
  const wrong = failed ?? error;
  return html`<main class="alone">
    <h1 tabindex="-1">Grantkeeper console</h1>
    <p class="soft">For admins and auditors of this deployment.</p>
    ${wrong && html`<p class="problem" role="alert">${REASONS[wrong.error] ?? "Signing in did not work. Try again."}</p>`}
    <${Answer} of=${offered}>${(providers) => providers.length === 0
      ? html`<p class="problem">No provider signs people in here yet: <code>grantkeeper providers configure</code> adds one.</p>`
      : html`<ul class="ways">${providers.map((each) => html`<li key=${each.id}>
          <button type="button" class="main" onClick=${() => leave(each.id)}>Continue with ${each.display_name}</button></li>`)}</ul>`}
    </${Answer}>
  </main>`;
}

export function NoRole({ me }) {
  return html`<main class="alone">
    <h1 tabindex="-1">You have no role here</h1>
    <p>You are signed in as <b>${me.name ?? me.email ?? me.sub}</b>, but the console is for people with the role
      admin or auditor. An operator gives it to you with AWS credentials:</p>
    <pre tabindex="0"><code>grantkeeper users role ${me.sub} auditor</code></pre>
    <p class="soft">An auditor sees everything, an admin changes it too. The role counts within a minute: sign out and in again.</p>
    <p><button type="button" onClick=${signOut}>Sign out</button></p>
  </main>`;
}
