// What stands of a user, by kind: beforehand what an erasure would remove, afterwards the proof that it did.
import { html, useState } from "./vendor.js";
import { get, send } from "./api.js";
import { number, words } from "./format.js";
import { announce, Answer, Problem, Section, Table, Time, useAnswer } from "./parts.js";

/** `path` is the user's; `erased` when there is nobody to count for any more, but something to prove. */
export function Traces({ path, sub, erased, may }) {
  const [asked, ask] = useState(false);
  const shown = asked || erased;
  const tools = !shown && html`<button type="button" onClick=${() => ask(true)}>Count</button>`;
  return html`<${Section} title=${erased ? "What is left" : "What is kept"} tools=${tools}>
    ${shown ? html`<${Found} path=${path} sub=${sub} may=${may} />` : html`<p class="soft">Counts everything that stands under this id, by kind.</p>`}
  </${Section}>`;
}

function Found({ path, sub, may }) {
  const traces = useAnswer(() => get(`${path}/traces`), path);
  const [error, fail] = useState(null);
  const goOn = async () => {
    fail(null);
    await send("POST", `${path}/erase`, { confirm: sub }).then(() => announce("Gone on."), fail);
    traces.reload();
  };
  return html`<${Answer} of=${traces}>${(data) => html`
    ${data.state === "erasing" && html`<p>The erasure goes on by itself${data.again_at ? html`, next <${Time} at=${data.again_at} />` : ""}:
      whatever had begun before must have ended.</p>`}
    ${data.state === "erased" && html`<p>Nothing stands any more but what the audit trail must keep, under the id alone.
      ${data.one_time_until ? html` Codes that were open then end by themselves, <${Time} at=${data.one_time_until} /> at the latest.` : ""}</p>`}
    <${Table} caption="What stands, by kind" rowKey=${([kind]) => kind} rows=${Object.entries(data.left)} empty="Nothing is left." columns=${[
      { title: "Kind", cell: ([kind]) => words(kind) },
      { title: "How many", number: true, cell: ([, found]) => number(found) },
    ]} />
    ${error && html`<${Problem} error=${error} />`}
    ${data.state === "erasing" && may.write && due(data.again_at) && html`<p><button type="button" onClick=${goOn}>Go on now</button></p>`}`}</${Answer}>`;
}

const due = (at) => at === null || at * 1000 <= Date.now();
