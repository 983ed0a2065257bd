// Whether everything behind the API does its work: the deep check, read when asked.
import { html } from "./vendor.js";
import { get } from "./api.js";
import { number, words } from "./format.js";
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
  const figures = Object.entries(of ?? {});
  if (figures.length === 0) return "–";
  return html`<ul class="lines small">${figures.map(([name, value]) => html`<li>${words(name)}: ${figure(name, value)}</li>`)}</ul>`;
}

function figure(name, value) {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return value.length ? value.join(", ") : "none";
  if (typeof value === "object") return Object.entries(value).map(([key, each]) => `${key} ${figure(key, each)}`).join(", ") || "none";
  if (typeof value !== "number") return String(value);
  return name === "at" || name.endsWith("_at") ? html`<${Time} at=${value} />` : number(value);
}
