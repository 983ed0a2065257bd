/* The page: what is shown, and what the buttons do. Everything from outside is text, never markup. */

import { Client, SignedOut } from "./client.js";

const find = (id) => document.getElementById(id);
const client = await Client.load();
let names = new Map(); // service → what it is called

async function start() {
  const path = location.pathname;
  const answer = new URLSearchParams(location.search);
  try {
    if (path === "/callback") await comeBack(() => client.finishSignIn());
    if (path === "/connected") {
      await comeBack(() => client.finishConnecting(answer));
      notice("Connected.");
    }
  } catch (error) {
    problem(error);
  }
  await show();
}

/* Codes and confirmations leave the address bar and the history, whether they were good or not. */
async function comeBack(finish) {
  try {
    await finish();
  } finally {
    history.replaceState(null, "", "/");
  }
}

async function show() {
  let user = null;
  try {
    user = await client.user();
  } catch (error) {
    problem(error);
  }
  find("stranger").hidden = user !== null;
  find("member").hidden = find("sign-out").hidden = user === null;
  if (user !== null) {
    find("name").textContent = user.profile.name ?? user.profile.email ?? "you";
    showSession(user);
    await attempt(async () => {
      const [services, connections] = await Promise.all([client.services(), client.connections()]);
      names = new Map(services.map((service) => [service.id, service.display_name]));
      find("services").replaceChildren(...services.map(serviceRow));
      showConnections(connections);
    });
  }
  document.querySelector("main").setAttribute("aria-busy", "false");
}

function showSession(user) {
  const ends = new Date(user.expires_at * 1000);
  fill(find("session"), {
    "E-mail": user.profile.email ?? "unknown",
    "Known here as": user.profile.sub,
    "Access token": `until ${ends.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" })}`,
  });
}

function showConnections(connections) {
  find("connections").replaceChildren(...connections.map(connectionRow));
  find("none").hidden = connections.length > 0;
}

function connectionRow(connection) {
  const row = clone("connection", {
    service: names.get(connection.service) ?? connection.service,
    label: connection.label ?? "",
  });
  const status = row.querySelector(".status");
  status.textContent = connection.status === "active" ? "" : connection.status.replaceAll("_", " ");
  for (const button of row.querySelectorAll("button")) {
    button.setAttribute("aria-label", `${button.textContent}, ${row.querySelector(".what").textContent.trim()}`);
  }
  press(row.querySelector(".ask"), async () => {
    const account = await client.account(connection.id);
    fill(row.querySelector(".account"), { Name: account.name, "E-mail": account.email, "Known there as": account.sub });
  });
  press(row.querySelector(".disconnect"), async () => {
    await client.disconnect(connection.id);
    showConnections(await client.connections());
    notice("Disconnected.");
  });
  return row;
}

function serviceRow(service) {
  const row = clone("service", { service: service.display_name, label: service.access.join(", ") });
  const button = row.querySelector(".connect");
  button.setAttribute("aria-label", `Connect ${service.display_name}`);
  press(button, () => client.connect(service.id));
  return row;
}

function clone(template, texts) {
  const row = find(template).content.firstElementChild.cloneNode(true);
  for (const [name, text] of Object.entries(texts)) row.querySelector(`.${name}`).textContent = text;
  return row;
}

function fill(list, facts) {
  const known = Object.entries(facts).filter(([, text]) => text !== undefined);
  list.replaceChildren(
    ...known.flatMap(([name, text]) => [
      Object.assign(document.createElement("dt"), { textContent: name }),
      Object.assign(document.createElement("dd"), { textContent: text }),
    ]),
  );
}

/* A button does one thing at a time, and says what went wrong. */
function press(button, action) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    find("problem").textContent = find("notice").textContent = "";
    await attempt(action);
    button.disabled = false;
  });
}

async function attempt(action) {
  try {
    await action();
  } catch (error) {
    problem(error);
    if (error instanceof SignedOut) await show();
  }
}

function problem(error) {
  find("problem").textContent = error.message || "That did not work.";
}

function notice(text) {
  find("notice").textContent = text;
}

press(find("sign-in"), () => client.signIn());
press(find("sign-out"), () => client.signOut());
press(find("renew"), async () => {
  if ((await client.renew()) === null) throw new SignedOut();
  notice("Renewed.");
});
client.users.events.addUserLoaded(showSession); // also after the library's own renewals
await start();
