// A whole login by openid-client (certified relying party) against the provider: code, PKCE, tokens,
// claims, refresh, logout address. The browser's part (login page, consent) is done by fetch and a
// cookie jar. Prints one JSON line; every check of the library itself throws.
import { pathToFileURL } from 'node:url'
const at = (name) => pathToFileURL(`${process.env.JUDGES}/${name}/build/index.js`).href
const client = await import(at('openid-client'))
const oauth = await import(at('oauth4webapi'))
const told = JSON.parse(process.env.TOLD)

const jar = new Map()
async function browse(url, init = {}) {
  const headers = { ...init.headers, cookie: [...jar].map(([k, v]) => `${k}=${v}`).join('; ') }
  const answer = await fetch(url, { ...init, headers, redirect: 'manual' })
  for (const line of answer.headers.getSetCookie()) {
    const [pair] = line.split(';')
    const [name, ...value] = pair.split('=')
    jar.set(name, value.join('='))
  }
  return answer
}
const form = (html) => /name="csrfmiddlewaretoken" value="([^"]+)"/.exec(html)[1]
const post = (url, fields) =>
  browse(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', referer: url },
    body: new URLSearchParams(fields),
  })
const html = (text) => text.replaceAll('&amp;', '&')

// From the authorization address to the callback, as a person goes.
async function walk(start) {
  let url = new URL(start)
  const seen = []
  for (let i = 0; i < 12; i++) {
    if (url.href.startsWith(told.redirect_uri)) return { url, seen }
    const answer = await browse(url)
    if ([302, 303].includes(answer.status)) {
      url = new URL(answer.headers.get('location'), url)
      continue
    }
    const text = await answer.text()
    seen.push(url.pathname)
    let next
    if (url.pathname === '/login/') {
      next = await post(url, {
        csrfmiddlewaretoken: form(text), username: told.username, password: told.password,
        next: html(/name="next" value="([^"]*)"/.exec(text)[1]),
      })
    } else if (url.pathname === '/oidc/onward') {
      url = new URL(html(/content="0;url=([^"]+)"/.exec(text)[1]), url)
      continue
    } else if (url.pathname === '/oidc/authorize') {
      const action = html(/<form method="post" action="([^"]*consent[^"]*)"/.exec(text)[1])
      next = await post(new URL(action, url), { csrfmiddlewaretoken: form(text), do: 'agree' })
    } else {
      throw new Error(`lost at ${url} (${answer.status})`)
    }
    if (next.status >= 400) throw new Error(`${url.pathname} says ${next.status}: ${await next.text()}`)
    url = new URL(next.headers.get('location'), url)
  }
  throw new Error('no end of redirects')
}

const options = { execute: [client.allowInsecureRequests] }
const config = await client.discovery(
  new URL(told.issuer), told.client_id, { client_secret: told.secret },
  told.method === 'basic' ? client.ClientSecretBasic(told.secret) : client.ClientSecretPost(told.secret),
  options,
)
const verifier = client.randomPKCECodeVerifier()
const state = client.randomState()
const nonce = client.randomNonce()
const ask = async (more = {}) => client.buildAuthorizationUrl(config, {
  redirect_uri: told.redirect_uri, scope: 'openid profile', state, nonce,
  code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  acr_values: 'urn:lianyun:level:0', ...more,
})
const first = await walk(await ask())
const tokens = await client.authorizationCodeGrant(config, first.url, {
  pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true, maxAge: 3600,
})
const claims = tokens.claims()
const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
const fresh = await client.refreshTokenGrant(config, tokens.refresh_token)
const asked = await client.tokenIntrospection(config, fresh.access_token)

// The consent is remembered: silently, and with a new login where one is asked for.
const silent = await walk(await ask({ prompt: 'none' }))
const loops = silent.seen.length

// oauth4webapi drives the same provider by itself.
const insecure = { [oauth.allowInsecureRequests]: true }
const as = await oauth
  .discoveryRequest(new URL(told.issuer), insecure)
  .then((answer) => oauth.processDiscoveryResponse(new URL(told.issuer), answer))
const me = { client_id: told.client_id }
const auth = oauth.ClientSecretPost(told.secret)
const params = oauth.validateAuthResponse(as, me, silent.url, state)
const got = await oauth.processAuthorizationCodeResponse(
  as, me,
  await oauth.authorizationCodeGrantRequest(as, me, auth, params, told.redirect_uri, verifier, insecure),
  { expectedNonce: nonce, requireIdToken: true },
)
const user = await oauth.processUserInfoResponse(
  as, me, oauth.getValidatedIdTokenClaims(got).sub,
  await oauth.userInfoRequest(as, me, got.access_token, insecure),
)
const machine = await oauth.processClientCredentialsResponse(
  as, me, await oauth.clientCredentialsGrantRequest(as, me, auth, { scope: 'relief.read' }, insecure),
)

// A refresh token shown twice ends its family.
let reuse = ''
try {
  await client.refreshTokenGrant(config, tokens.refresh_token)
} catch (wrong) {
  reuse = wrong.error
}
let after = ''
try {
  await client.refreshTokenGrant(config, fresh.refresh_token)
} catch (wrong) {
  after = wrong.error
}
await client.tokenRevocation(config, got.access_token)
const revoked = await client.tokenIntrospection(config, got.access_token)
const logout = client.buildEndSessionUrl(config, {
  post_logout_redirect_uri: told.logout_uri, id_token_hint: got.id_token, state: 'bye',
})
const left = await browse(logout)
console.log(JSON.stringify({
  claims, info, seen: first.seen, loops, asked, user, machine: machine.scope, reuse, after,
  revoked: revoked.active, left: left.headers.get('location'), status: left.status,
}))
