// A certified OpenID provider as a peer: strict where the demo provider is lenient.
//
//   node oidc-provider.mjs PORT [ACCESS_TOKEN_SECONDS]
//
// Refresh tokens rotate, and reusing one ends its grant; access tokens live 10 seconds; PKCE is required; the answer
// names its issuer (RFC 9207). Its development pages ask for a login and a consent: submit their forms. Any login works.
import Provider from 'oidc-provider'

const port = Number(process.argv[2])
const seconds = Number(process.argv[3] ?? 10)
const issuer = `http://127.0.0.1:${port}`

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'grantkeeper',
      client_secret: 'rotating-secret',
      redirect_uris: ['http://localhost:8080/oauth2/callback/rotating'],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'client_secret_basic',
    },
  ],
  claims: { openid: ['sub'], profile: ['name', 'locale'], email: ['email', 'email_verified'] },
  cookies: { keys: ['a test run needs no secret here'] },
  features: { devInteractions: { enabled: true }, revocation: { enabled: true }, introspection: { enabled: true } },
  findAccount: (_, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: `User ${sub}`, locale: 'en', email: `${sub}@example.com`, email_verified: true }),
  }),
  pkce: { required: () => true },
  clockTolerance: 0, // its own default of 15 s would outlive our access tokens
  rotateRefreshToken: true,
  ttl: {
    AccessToken: seconds,
    AuthorizationCode: 60,
    Grant: 3600,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: 3600,
    Session: 3600,
  },
})

// The stack's port differs from run to run; everything else of its callback is exact.
const callback = /^http:\/\/localhost:\d{1,5}\/oauth2\/callback\/rotating$/
provider.Client.prototype.redirectUriAllowed = (uri) => callback.test(uri)

// How often the token endpoint was asked, by grant type and outcome: a test counts refreshes.
const counts = {}
for (const [event, outcome] of [['grant.success', 'success'], ['grant.error', 'error']]) {
  provider.on(event, (ctx) => {
    const key = `${ctx.oidc?.params?.grant_type ?? 'unknown'}:${outcome}`
    counts[key] = (counts[key] ?? 0) + 1
  })
}

// What was sent and issued, from number `since` on: a test searches for these values where none may be.
const issued = []
provider.on('grant.success', (ctx) => {
  const { code, code_verifier, refresh_token } = ctx.oidc.params
  issued.push({ sent: { code, code_verifier, refresh_token }, answer: ctx.body })
})

// A grant as a finished consent leaves it, for tests that begin with one.
async function granted(sub) {
  const client = await provider.Client.find('grantkeeper')
  const grant = new provider.Grant({ accountId: sub, clientId: client.clientId })
  const scope = 'openid offline_access'
  grant.addOIDCScope(scope)
  const common = { accountId: sub, client, grantId: await grant.save(), gty: 'authorization_code', scope }
  const access = await new provider.AccessToken({ ...common, expiresWithSession: false }).save()
  const refresh = await new provider.RefreshToken({ ...common, expiresWithSession: false }).save()
  return { access_token: access, refresh_token: refresh, token_type: 'Bearer', expires_in: seconds, scope }
}

// Whether a refresh token would be honoured now.
async function alive(value) {
  const token = await provider.RefreshToken.find(value)
  return Boolean(token && !token.consumed && (await provider.Grant.find(token.grantId)))
}

provider.use(async (ctx, next) => {
  if (ctx.path === '/test/counts') ctx.body = counts
  else if (ctx.path === '/test/grant') ctx.body = await granted(String(ctx.query.sub))
  else if (ctx.path === '/test/alive') ctx.body = { alive: await alive(String(ctx.query.token)) }
  else if (ctx.path === '/test/issued') ctx.body = issued.slice(Number(ctx.query.since ?? 0))
  else await next()
})

const server = provider.listen(port, '127.0.0.1', () => console.log(`listening on ${issuer}`))
process.on('SIGTERM', () => {
  server.close()
  server.closeAllConnections()
})
