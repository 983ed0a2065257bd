// Whether everything behind the API does its work: the deep check, read when asked.
import { html } from "./vendor.js";
import { get } from "./api.js";
import { words } from "./format.js";
import { Answer, Heading, Section, Status, Table, Time, useAnswer } from "./parts.js";

const ORDER = ["failing", "warning", "ok"];

export function Health() {
  const health = useAnswer(() => get("/v1/admin/health"), "health");
  return html`<${Heading} tools=${html`<button type="button" onClick=${health.reload} disabled=${health.loading}>Check again</button>`}>Health</${Heading}>
    <${Answer} of=${health}>${(data) => html`
      <${Section} title="All in all" tools=${html`<${Status} of=${data.status} />`}>
        <p class="soft">Looked at <${Time} at=${data.checked_at} />. Runbooks are in docs/operations.md.</p>
        <${Table} caption="Checks" rowKey=${(check) => check.name} rows=${sorted(data.checks)} columns=${[
          { title: "What", cell: (check) => words(check.name) },
          { title: "Status", cell: (check) => html`<${Status} of=${check.status} />` },
          { title: "Detail", cell: (check) => check.detail || "–" },
          { title: "Measured", cell: (check) => html`<${Measured} of=${check.measured} />` },
        ]} /></${Section}>`}</${Answer}>`;
}

const sorted = (checks) => [...checks].sort((a, b) => ORDER.indexOf(a.status) - ORDER.indexOf(b.status));

function Measured({ of }) {
  if (of === null || of === undefined || of === "") return "–";
  if (typeof of !== "object") return String(of);
  return html`<ul class="lines small">${Object.entries(of).map(([name, value]) => html`<li>${words(name)}: ${String(value ?? "–")}</li>`)}</ul>`;
}
