// What asks before something is done. The browser's own dialog keeps the focus inside and gives it back.
import { html, useEffect, useId, useRef, useState } from "./vendor.js";
import { announce, Field, Problem } from "./parts.js";

/** A dialog that is open as long as it is shown; Escape and `close` end it. */
export function Dialog({ title, close, children }) {
  const place = useRef(null);
  const name = useId();
  useEffect(() => {
    const dialog = place.current;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  return html`<dialog ref=${place} aria-labelledby=${name} onClose=${close}>
    <h2 id=${name}>${title}</h2>${children}</dialog>`;
}

/**
 * Ask, then do.
 *
 * `run(values)` does it with the form's values; what it resolves to goes to `done`. With `typed` that text has to be
 * typed first: for what cannot be undone.
 */
export function Ask({ title, verb, danger = false, typed = null, run, done, close, said = "Done.", children }) {
  const [state, setState] = useState({ busy: false, error: null });
  const [text, setText] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    if (state.busy) return;
    const values = new FormData(event.currentTarget);
    setState({ busy: true, error: null });
    try {
      const answer = await run(values);
      announce(said);
      close();
      done(answer);
    } catch (error) {
      setState({ busy: false, error });
    }
  };
  return html`<${Dialog} title=${title} close=${close}><form onSubmit=${submit}>
    <div>${children}</div>
    ${typed && html`<${Field} label=${html`Type <code>${typed}</code> to confirm`}>
      <input autocomplete="off" spellcheck="false" value=${text} onInput=${(event) => setText(event.target.value)} /></${Field}>`}
    ${state.error && html`<${Problem} error=${state.error} />`}
    <div class="tools">
      <button type="button" onClick=${close}>Cancel</button>
      <button class=${danger ? "danger" : "main"} disabled=${state.busy || (typed !== null && text !== typed)}>
        ${state.busy ? "Working …" : verb}</button>
    </div>
  </form></${Dialog}>`;
}

/** A button that asks first. */
export function AskButton({ label, ...question }) {
  const [open, setOpen] = useState(false);
  return html`<button type="button" class=${question.danger ? "danger" : ""} onClick=${() => setOpen(true)}>${label}</button>
    ${open && html`<${Ask} ...${question} close=${() => setOpen(false)} />`}`;
}

/** A secret that is shown this once: copied, never kept. */
export function Secret({ title, secret, close, children }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(secret).then(() => setCopied(true), () => setCopied(false));
    announce("Copied.");
  };
  return html`<${Dialog} title=${title} close=${close}>
    <p>${children ?? "Keep it now: it is not stored here and cannot be shown again."}</p>
    <p class="secret"><code>${secret}</code></p>
    <div class="tools"><button type="button" onClick=${copy}>${copied ? "Copied" : "Copy"}</button>
      <button type="button" class="main" onClick=${close}>I have it</button></div>
  </${Dialog}>`;
}
