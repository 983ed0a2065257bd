// The frame around every page: who is signed in, the menu, the theme, and where the focus goes.
import { html, render, useEffect, useState } from "./vendor.js";
import { NoRole, SignIn } from "./door.js";
import { Answer, Heading, useAnswer } from "./parts.js";
import { link, parse } from "./router.js";
import { arrive, scopes, signOut, whoami } from "./signin.js";

const ICON = document.querySelector("link[rel=icon]").href;
// A page's modules are fetched when it is opened: at the first visit few files are asked for at once, for each is an
// execution of a function, and a new account has ten in all.
const PAGES = {
  overview: { title: "Overview", page: () => import("./overview.js").then((m) => m.Overview) },
  users: { title: "Users", page: () => import("./users.js").then((m) => m.Users), one: () => import("./user.js").then((m) => m.User) },
  connections: {
    title: "Connections",
    page: () => import("./connections.js").then((m) => m.Connections),
    one: () => import("./connection.js").then((m) => m.Connection),
  },
  providers: { title: "Providers", page: () => import("./providers.js").then((m) => m.Providers) },
  audit: { title: "Audit", page: () => import("./audit.js").then((m) => m.Audit) },
  clients: { title: "Clients", page: () => import("./clients.js").then((m) => m.Clients), one: () => import("./client.js").then((m) => m.Client) },
  "api-keys": { title: "API keys", page: () => import("./api_keys.js").then((m) => m.ApiKeys) },
  health: { title: "Health", page: () => import("./health.js").then((m) => m.Health) },
};

function App({ me }) {
  const [route, setRoute] = useState(parse(location.hash));
  useEffect(() => {
    const changed = () => setRoute(parse(location.hash));
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  const entry = PAGES[route.page];
  useEffect(() => {
    document.title = `${route.id ?? entry?.title ?? "Not found"} · Grantkeeper console`;
  }, [route.page, route.id]);
  const load = (route.id === null ? entry?.page : entry?.one) ?? (async () => NotFound);
  const name = `${route.page}/${route.id}`;
  const may = { write: scopes().has("admin:write"), audit: scopes().has("audit:read") };
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <${Bar} me=${me} here=${route.page} />
    <main id="main" tabindex="-1"><${Opened} key=${name} name=${name} load=${load} id=${route.id} query=${route.query} may=${may} me=${me} /></main>`;
}

/** A page, when its modules are there. */
function Opened({ name, load, ...given }) {
  const opened = useAnswer(() => load().catch(() => {
    throw new Error("The page could not be loaded. Try again.");
  }), name);
  return html`<${Answer} of=${opened}>${(Page) => html`<${Page} ...${given} />`}</${Answer}>`;
}

function skip(event) {
  event.preventDefault(); // the fragment is the route
  document.querySelector("main h1")?.focus();
}

function Bar({ me, here }) {
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [here]);
  return html`<header class="bar">
    <a class="brand" href=${link("overview")}><img src=${ICON} alt="" width="28" height="28" />Grantkeeper</a>
    <button type="button" class="menu" aria-expanded=${open} aria-controls="menu" onClick=${() => setOpen(!open)}>Menu</button>
    <nav id="menu" aria-label="Pages" class=${open ? "open" : ""}>
      <ul>${Object.entries(PAGES).map(([name, { title }]) => html`<li>
        <a href=${link(name)} aria-current=${name === here ? "page" : null}>${title}</a></li>`)}</ul>
      <div class="who">
        <p><b>${me.name ?? me.email ?? me.sub}</b><span class="soft">${scopes().has("admin:write") ? "Admin" : "Auditor: reads only"}</span></p>
        <${Theme} />
        <button type="button" onClick=${signOut}>Sign out</button>
      </div>
    </nav>
  </header>`;
}

function Theme() {
  const [chosen, choose] = useState(document.documentElement.dataset.theme ?? "");
  const change = (event) => {
    const theme = event.target.value;
    choose(theme);
    if (theme) localStorage.setItem("grantkeeper.theme", theme);
    else localStorage.removeItem("grantkeeper.theme");
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    dispatchEvent(new Event("themechange"));
  };
  return html`<label class="theme"><span class="unseen">Theme</span><select onChange=${change}>
    ${[["", "System theme"], ["light", "Light"], ["dark", "Dark"]].map(
      ([value, text]) => html`<option value=${value} selected=${value === chosen}>${text}</option>`,
    )}</select></label>`;
}

function NotFound() {
  return html`<${Heading}>No such page</${Heading}><p>The menu shows what there is.</p>`;
}

async function start() {
  sessionStorage.removeItem("grantkeeper.tried"); // boot.js: everything came
  const place = document.getElementById("app");
  const show = (what) => {
    place.replaceChildren();
    render(what, place);
  };
  try {
    const found = await arrive();
    if (found === "leaving") return;
    if (found === "signed-out") return show(html`<${SignIn} />`);
    const me = await whoami();
    if (!scopes().has("admin:read")) return show(html`<${NoRole} me=${me} />`);
    show(html`<${App} me=${me} />`);
  } catch (error) {
    show(html`<${SignIn} error=${error} />`);
  }
}

start();
