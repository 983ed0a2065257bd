// A relying party built on openid-client, unmodified: what any team's frontend would run.
//
//   node relying-party.mjs start  ISSUER CLIENT_ID REDIRECT_URI SCOPE PROVIDER
//   node relying-party.mjs finish ISSUER CLIENT_ID CALLBACK_URL            < the JSON that `start` printed
//   node relying-party.mjs refresh ISSUER CLIENT_ID                        < {"refresh_token": …}
//   node relying-party.mjs revoke ISSUER CLIENT_ID                         < {"token": …}
//
// Each prints one JSON object. Values of tokens go to standard output only, never to standard error.
import * as client from 'openid-client'

const [command, issuer, clientId, ...rest] = process.argv.slice(2)

const input = async () => {
  const chunks = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  return JSON.parse(Buffer.concat(chunks).toString() || '{}')
}

const discover = () =>
  client.discovery(new URL(issuer), clientId, undefined, client.None(), {
    execute: [client.allowInsecureRequests],
  })

const commands = {
  async start([redirectUri, scope, provider]) {
    const config = await discover()
    const verifier = client.randomPKCECodeVerifier()
    const state = client.randomState()
    const nonce = client.randomNonce()
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope,
      state,
      nonce,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...(provider ? { provider } : {}),
    })
    return { url: url.href, verifier, state, nonce }
  },

  async finish([callbackUrl]) {
    const started = await input()
    const config = await discover()
    const tokens = await client.authorizationCodeGrant(config, new URL(callbackUrl), {
      pkceCodeVerifier: started.verifier,
      expectedState: started.state,
      expectedNonce: started.nonce,
      idTokenExpected: true,
    })
    const claims = tokens.claims()
    const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
    return { ...tokens, claims, userinfo }
  },

  async refresh() {
    const { refresh_token } = await input()
    const config = await discover()
    return { ...(await client.refreshTokenGrant(config, refresh_token)) }
  },

  async revoke() {
    const { token } = await input()
    const config = await discover()
    await client.tokenRevocation(config, token)
    return { revoked: true }
  },
}

try {
  console.log(JSON.stringify(await commands[command](rest)))
} catch (error) {
  // openid-client's errors carry a code and, from the server, error and status: all safe to show
  console.log(JSON.stringify({ failed: error.code ?? error.name, error: error.error, status: error.status, message: error.message }))
  process.exitCode = 1
}
