// Signing in through Grantkeeper like any public client: code flow with PKCE, checked by oauth4webapi.
//
// Tokens live in this module's memory. What a trip to the provider needs afterwards (state, nonce, verifier, where to
// come back to) waits in sessionStorage under its state and is deleted when it is used. A page that is left for good
// revokes its refresh token, and with it the session.
import { oauth } from "./vendor.js";

const CLIENT = { client_id: "console" };
const SCOPE = "openid profile email admin:read admin:write audit:read metrics:read";
const ISSUER = location.origin;
const REDIRECT_URI = `${ISSUER}/console`;
const TRIP = "grantkeeper.trip.";
const PROVIDER = "grantkeeper.provider"; // whom to ask without a word after a reload of this tab
const TIMEOUT = 20_000; // milliseconds
const EARLY = 30_000; // milliseconds before its end that a token is renewed

let server = null;
let tokens = null; // { access, refresh, idToken, scopes, sub, endsAt }
let renewing = null;

/** This deployment is at another address: the API's own endpoint was opened, or 127.0.0.1 for localhost. */
class Elsewhere extends Error {
  constructor(issuer) {
    super("The console is at another address.");
    this.issuer = issuer;
  }
}

function options() {
  // Plain http is what `make run` speaks, on a loopback name; a deployment is https.
  return { [oauth.allowInsecureRequests]: ISSUER.startsWith("http:"), signal: AbortSignal.timeout(TIMEOUT) };
}

async function metadata() {
  if (server === null) {
    const issuer = new URL(ISSUER);
    const answer = await oauth.discoveryRequest(issuer, options());
    const said = (await answer.clone().json()).issuer;
    if (said !== ISSUER) throw new Elsewhere(said);
    server = await oauth.processDiscoveryResponse(issuer, answer);
  }
  return server;
}

/** Send the browser to sign in; it comes back to the route it is at. */
export async function begin({ provider = null, silent = false } = {}) {
  const as = await metadata();
  const state = oauth.generateRandomState();
  const trip = {
    nonce: oauth.generateRandomNonce(),
    verifier: oauth.generateRandomCodeVerifier(),
    back: location.hash,
    provider,
    silent,
  };
  const url = new URL(as.authorization_endpoint);
  const asked = {
    client_id: CLIENT.client_id,
    redirect_uri: REDIRECT_URI,
    response_type: "code",
    scope: SCOPE,
    state,
    nonce: trip.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(trip.verifier),
    code_challenge_method: "S256",
    ...(provider && { provider }),
    ...(silent && { prompt: "none" }),
  };
  for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
  sessionStorage.setItem(TRIP + state, JSON.stringify(trip));
  location.assign(url);
}

/**
 * What this visit is: back from a sign-in, a reload of a tab that was signed in, or neither.
 *
 * Resolves to "signed-in", "leaving" or "signed-out"; throws what went wrong with an answer that is ours.
 */
export async function arrive() {
  const answer = new URL(location.href);
  try {
    await metadata();
  } catch (error) {
    if (!(error instanceof Elsewhere)) throw error;
    location.replace(`${error.issuer}/console${location.hash}`);
    return "leaving";
  }
  if (answer.searchParams.has("state")) return comeBack(answer);
  const provider = sessionStorage.getItem(PROVIDER);
  if (provider === null) return "signed-out";
  await begin({ provider: provider || null, silent: true });
  return "leaving";
}

async function comeBack(answer) {
  const state = answer.searchParams.get("state");
  const kept = sessionStorage.getItem(TRIP + state);
  const trip = kept === null ? null : JSON.parse(kept);
  sessionStorage.removeItem(TRIP + state);
  history.replaceState(null, "", `/console${trip?.back ?? ""}`); // no code stays in the address or the history
  if (trip === null) return "signed-out"; // nobody here began this: it is not believed, and not exchanged
  try {
    await exchange(answer, trip, state);
  } catch (error) {
    sessionStorage.removeItem(PROVIDER);
    if (trip.silent && error instanceof oauth.AuthorizationResponseError) return "signed-out";
    throw error;
  }
  sessionStorage.setItem(PROVIDER, trip.provider ?? "");
  return "signed-in";
}

async function exchange(answer, trip, state) {
  const as = await metadata();
  const parameters = oauth.validateAuthResponse(as, CLIENT, answer, state);
  const response = await oauth.authorizationCodeGrantRequest(
    as, CLIENT, oauth.None(), parameters, REDIRECT_URI, trip.verifier, options(),
  );
  keep(await oauth.processAuthorizationCodeResponse(as, CLIENT, response, {
    expectedNonce: trip.nonce,
    requireIdToken: true,
  }));
}

function keep(answer) {
  const claims = oauth.getValidatedIdTokenClaims(answer);
  tokens = {
    access: answer.access_token,
    refresh: answer.refresh_token,
    idToken: answer.id_token ?? tokens?.idToken,
    scopes: new Set((answer.scope ?? "").split(" ")),
    sub: claims?.sub ?? tokens?.sub,
    endsAt: Date.now() + answer.expires_in * 1000,
  };
}

/** The access token, renewed if it is about to end; null when nobody is signed in (any more). */
export async function accessToken({ renewed = false } = {}) {
  if (tokens !== null && (renewed || tokens.endsAt - Date.now() < EARLY)) {
    renewing ??= renew().finally(() => (renewing = null)); // however many ask, one refresh token is spent once
    await renewing;
  }
  return tokens?.access ?? null;
}

async function renew() {
  const as = await metadata();
  const response = await oauth.refreshTokenGrantRequest(as, CLIENT, oauth.None(), tokens.refresh, options());
  try {
    keep(await oauth.processRefreshTokenResponse(as, CLIENT, response));
  } catch (error) {
    if (!(error instanceof oauth.ResponseBodyError) || error.error !== "invalid_grant") throw error;
    tokens = null; // revoked, or the role is gone with the user: only a new sign-in helps
  }
}

/** Which scopes the token has: what the console offers follows from them, as what it may do does. */
export function scopes() {
  return tokens?.scopes ?? new Set();
}

/** Who is signed in, as userinfo says. */
export async function whoami() {
  const as = await metadata();
  const response = await oauth.userInfoRequest(as, CLIENT, await accessToken(), options());
  return oauth.processUserInfoResponse(as, CLIENT, tokens.sub, response);
}

/** End the session here and at Grantkeeper, and come back to an empty page. */
export async function signOut() {
  sessionStorage.removeItem(PROVIDER);
  const as = await metadata();
  const url = new URL(as.end_session_endpoint);
  url.searchParams.set("id_token_hint", tokens.idToken);
  url.searchParams.set("client_id", CLIENT.client_id);
  url.searchParams.set("post_logout_redirect_uri", REDIRECT_URI);
  tokens = null;
  location.assign(url);
}

/** Sign in once more, for what needs a sign-in of this quarter of an hour, and come back to this place. */
export function signInAgain() {
  return begin({ provider: sessionStorage.getItem(PROVIDER) || null });
}

addEventListener("pagehide", (event) => {
  if (tokens === null || event.persisted) return;
  const form = new URLSearchParams({ client_id: CLIENT.client_id, token: tokens.refresh });
  navigator.sendBeacon("/oauth2/revoke", form);
});

/** The scopes this deployment knows. */
export async function supportedScopes() {
  return (await metadata()).scopes_supported;
}
