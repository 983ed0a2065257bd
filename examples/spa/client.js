/*
 * What this application says, and to whom: Grantkeeper signs its user in, its own backend does the rest.
 *
 * The access token is for the backend alone (`resource`, RFC 8707). Grantkeeper's /v1 refuses it, as it should: whatever
 * happens there is the backend's to do, with an API key that no browser ever sees.
 */

const { UserManager, WebStorageStateStore } = globalThis.oidc;
const STARTED = "connect"; // sessionStorage: this tab's own; another tab or another person's browser has no such entry

export class Client {
  static async load() {
    const answer = await fetch("/config.json");
    return new Client(await answer.json());
  }

  constructor({ issuer, client_id, backend }) {
    this.issuer = issuer;
    this.backend = backend;
    this.users = new UserManager({
      authority: issuer,
      client_id,
      redirect_uri: `${location.origin}/callback`,
      post_logout_redirect_uri: `${location.origin}/`,
      scope: "openid profile email connections:read connections:write",
      resource: backend,
      loadUserInfo: true, // the name is no business of tokens; userinfo tells it as it is now
      userStore: new WebStorageStateStore({ store: sessionStorage }), // gone with the tab
      revokeTokensOnSignout: true,
      revokeTokenTypes: ["refresh_token"],
    });
  }

  signIn() {
    return this.users.signinRedirect();
  }

  finishSignIn() {
    return this.users.signinCallback();
  }

  signOut() {
    sessionStorage.removeItem(STARTED);
    return this.users.signoutRedirect();
  }

  /* Who is signed in, renewed if need be; null for nobody. The library renews by itself a minute before the end. */
  async user() {
    const user = await this.users.getUser();
    return user?.expired ? this.renew() : user;
  }

  /* A new access token for the refresh token, which is good once: the library keeps the one that comes along. */
  async renew() {
    try {
      return await this.users.signinSilent();
    } catch (error) {
      if (error?.error !== "invalid_grant") throw error; // the network's trouble ends no session
      await this.users.removeUser();
      return null;
    }
  }

  /* Public, and the same for everybody: so it is asked of Grantkeeper itself. */
  async services() {
    const answer = await fetch(`${this.issuer}/v1/providers`);
    if (!answer.ok) throw new Error("The services cannot be listed now.");
    const { providers } = await answer.json();
    return providers
      .flatMap((provider) => provider.services)
      .filter((service) => service.connect === "redirect" && ["available", "degraded"].includes(service.state));
  }

  async connections() {
    return (await this.#ask("GET", "/connections")).connections.filter((each) => each.status !== "revoked");
  }

  account(id) {
    return this.#ask("GET", `/connections/${encodeURIComponent(id)}/account`);
  }

  disconnect(id) {
    return this.#ask("DELETE", `/connections/${encodeURIComponent(id)}`);
  }

  /*
   * Begin to connect: the link is followed at once, by this tab, and written down nowhere. What is kept is which trip
   * this tab began.
   */
  async connect(service) {
    const state = crypto.randomUUID();
    const { id, connect_url } = await this.#ask("POST", "/connections", { service, state });
    sessionStorage.setItem(STARTED, JSON.stringify({ id, state }));
    location.assign(connect_url);
  }

  /*
   * Come back: only a trip that this very tab began is confirmed. Somebody who sends his own link, finished or not, to
   * another person gets nothing attached to her; nor does she, if she opens it.
   */
  async finishConnecting(answer) {
    const started = JSON.parse(sessionStorage.getItem(STARTED) ?? "null");
    const session = answer.get("connect_session");
    if (started === null || started.id !== session || started.state !== answer.get("state")) {
      throw new Error("This connection was not started here, so nothing was connected.");
    }
    sessionStorage.removeItem(STARTED);
    if (answer.has("error")) throw new Error(`Nothing was connected: ${answer.get("error")}.`);
    const confirmation = answer.get("confirmation");
    return this.#ask("POST", "/connections/confirm", { connect_session: session, confirmation });
  }

  /* Ask the backend as the user. A token that is refused is renewed once: it may have been withdrawn. */
  async #ask(method, path, body, again = true) {
    const user = await this.user();
    if (user === null) throw new SignedOut();
    const answer = await fetch(`${this.backend}${path}`, {
      method,
      headers: { authorization: `Bearer ${user.access_token}`, ...(body && { "content-type": "application/json" }) },
      body: body && JSON.stringify(body),
    });
    if (answer.status === 401 && again && (await this.renew()) !== null) return this.#ask(method, path, body, false);
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.detail ?? `The backend answered ${answer.status}.`);
    return told;
  }
}

export class SignedOut extends Error {
  constructor() {
    super("Your session is over. Sign in again.");
  }
}
