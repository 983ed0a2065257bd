// How it goes: totals, the last days as lines, connections by provider and status.
import { html } from "./vendor.js";
import { get } from "./api.js";
import { Chart } from "./chart.js";
import { count, number, share, words } from "./format.js";
import { Answer, Facts, Heading, Section, Status, Table, Time, useAnswer } from "./parts.js";
import { go, link } from "./router.js";

const RANGES = ["7", "30", "90"];
const STATUSES = ["active", "needs_reauth", "pending", "revoked"];
const SIGN_INS = [
  { name: "sign_ins", title: "Sign-ins", tone: "blue" },
  { name: "sign_ins_refused", title: "Refused", tone: "red" },
];
const REFRESHES = [
  { name: "refreshes", title: "Refreshes", tone: "blue" },
  { name: "refresh_failures", title: "Failures", tone: "red" },
];
const CONNECTIONS = [
  { name: "connected", title: "Connected", tone: "green" },
  { name: "disconnected", title: "Disconnected", tone: "grey" },
  { name: "needs_reauth", title: "Needs reauth", tone: "red" },
];

export function Overview({ query }) {
  const range = RANGES.includes(query.days) ? query.days : "30";
  const stats = useAnswer(() => get("/v1/admin/stats", { days: range }), range);
  const choice = html`<fieldset class="segments"><legend class="unseen">Days shown</legend>${RANGES.map(
    (days) => html`<label><input type="radio" name="days" checked=${days === range}
      onChange=${() => go("overview", null, { days })} /><span>${days} days</span></label>`,
  )}</fieldset>`;
  return html`<${Heading} tools=${choice}>Overview</${Heading}>
    <${Answer} of=${stats}>${(data) => html`<${Numbers} stats=${data} />`}</${Answer}>`;
}

function Numbers({ stats }) {
  const connections = rows(stats.connections.by_provider);
  const all = connections.reduce((sum, row) => sum + row.total, 0);
  const live = connections.reduce((sum, row) => sum + row.active, 0);
  const waiting = connections.reduce((sum, row) => sum + row.needs_reauth, 0);
  return html`
    <ul class="totals">
      <${Total} name="Users" value=${stats.users} more=${`${count(stats.today.users, "new one")} today`} href=${link("users")} />
      <${Total} name="Live connections" value=${live} more=${`of ${number(all)} ever made`} href=${link("connections")} />
      <${Total} name="Need reauth" value=${waiting} more=${`${share(waiting, live + waiting)} of those not revoked`}
        href=${link("connections", null, { status: "needs_reauth" })} tone=${waiting ? "warn" : ""} />
      <${Total} name="Sign-ins" value=${stats.sign_ins.total} more=${`${number(stats.today.sign_ins)} today`} />
      <${Total} name="Refreshes" value=${stats.refreshes.total} more=${`${number(stats.today.refreshes)} today`} />
    </ul>
    ${stats.days?.length
      ? html`<div class="charts">
          <${Chart} title="Sign-ins" days=${stats.days} series=${SIGN_INS} />
          <${Chart} title="Refreshes" days=${stats.days} series=${REFRESHES} />
          <${Chart} title="Connections" days=${stats.days} series=${CONNECTIONS} />
        </div>`
      : html`<p class="empty">There are no numbers by day yet: they come with the first events.</p>`}
    <${Section} title="Connections by provider">
      <${Table} caption="Connections by provider and status" rows=${connections} rowKey=${(row) => row.provider}
        empty="Nobody has connected anything yet." columns=${[
          { title: "Provider", cell: (row) => html`<a href=${link("connections", null, { provider: row.provider })}>${row.provider}</a>` },
          ...STATUSES.map((status) => ({ title: words(status), number: true, cell: (row) => number(row[status]) })),
          { title: "All", number: true, cell: (row) => number(row.total) },
        ]} />
    </${Section}>
    <div class="pair">
      <${Section} title="Why connections need reauth"><${Reasons} of=${stats.needs_reauth_reasons} none="None has needed it." /></${Section}>
      <${Section} title="Why refreshes failed"><${Reasons} of=${stats.refresh_failures?.by_reason ?? {}} none="None has failed." /></${Section}>
    </div>
    <${Section} title="What was refused"><${Facts} of=${[
      ["Sign-ins", number(stats.refusals.sign_ins)],
      ["Confirmations of a connection", number(stats.refusals.confirmations)],
      ["Reused refresh tokens", number(stats.refusals.reuse_detected)],
      ["Tampered records", number(stats.refusals.tampering_detected)],
    ]} /></${Section}>
    ${stats.reconciliation !== undefined && html`<${Reconciliation} of=${stats.reconciliation} />`}`;
}

function rows(byProvider) {
  return Object.entries(byProvider).map(([provider, statuses]) => {
    const row = { provider, total: 0 };
    for (const status of STATUSES) row[status] = statuses[status] ?? 0;
    row.total = Object.values(statuses).reduce((sum, each) => sum + each, 0);
    return row;
  });
}

function Total({ name, value, more, href = null, tone = "" }) {
  const inside = html`<span class="name">${name}</span><strong class=${tone}>${number(value)}</strong><span class="soft">${more}</span>`;
  return html`<li>${href ? html`<a href=${href}>${inside}</a>` : html`<div>${inside}</div>`}</li>`;
}

function Reasons({ of, none }) {
  const found = Object.entries(of).filter(([, times]) => times > 0).sort((a, b) => b[1] - a[1]);
  const most = found[0]?.[1] ?? 0;
  if (found.length === 0) return html`<p class="empty">${none}</p>`;
  return html`<ul class="bars">${found.map(([reason, times]) => html`<li>
    <span>${words(reason)}</span><b>${number(times)}</b>
    <i class="bar"><i style=${{ width: `${(100 * times) / most}%` }}></i></i></li>`)}</ul>`;
}

function Reconciliation({ of }) {
  if (of === null) return html`<p class="soft">The counters have not been compared with the tables yet: that happens every night.</p>`;
  const drift = typeof of.drift === "number" ? of.drift : Object.keys(of.drift ?? {}).length;
  return html`<p class="soft">Counters compared with the tables <${Time} at=${of.at} />:
    ${" "}${drift ? html`<${Status} of="warning" /> ${count(drift, "counter")} differed` : "they agreed"}.</p>`;
}
