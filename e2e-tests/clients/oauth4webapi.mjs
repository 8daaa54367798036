// Every request that oauth4webapi can send to an authorization server, from discovery to logout. The library
// verifies the responses: one that violates a specification throws.
// Usage: node oauth4webapi.mjs JSON, with the members that test_openid_clients.py passes
import * as oauth from 'oauth4webapi';
import { describe, given, makeKey, readKey, redirectUri, report, signedOutUri, visit } from './browser.mjs';

const http = { [oauth.allowInsecureRequests]: true };
const issuer = new URL(given.issuer);
const result = {};

// Discovery, by both well-known documents
const [as] = await Promise.all(
    ['oidc', 'oauth2'].map(async algorithm =>
        oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { ...http, algorithm })),
    ),
);

// Dynamic registration, of an application that was not declared
const { privateKey, jwks } = await makeKey();
const client = given.application ?? (await register(given.method));
const prove = {
    none: () => oauth.None(),
    client_secret_basic: () => oauth.ClientSecretBasic(client.client_secret),
    client_secret_post: () => oauth.ClientSecretPost(client.client_secret),
    private_key_jwt: () => oauth.PrivateKeyJwt(privateKey),
}[given.method];

async function register(method) {
    const metadata = describe('oauth4webapi', method, jwks);
    const options = { ...http, initialAccessToken: given.initial_access_token };
    const response = await oauth.dynamicClientRegistrationRequest(as, metadata, options);
    result.registered = await oauth.processDynamicClientRegistrationResponse(response);
    return result.registered;
}

// Authorization code with PKCE, state, nonce and iss, through a browser
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const expectedNonce = oauth.generateRandomNonce();
const authorize = new URL(as.authorization_endpoint);
authorize.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'openid profile email offline_access mcp.access',
    resource: given.resource,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce: expectedNonce,
    max_age: 300,
});
const answer = oauth.validateAuthResponse(as, client, await visit(authorize), state);
result.iss = answer.get('iss');
const redeemed = await oauth.authorizationCodeGrantRequest(as, client, prove(), answer, redirectUri, verifier, {
    ...http,
    additionalParameters: { resource: given.resource },
});
const expected = { expectedNonce, maxAge: 300, requireIdToken: true };
const tokens = await oauth.processAuthorizationCodeResponse(as, client, redeemed, expected);
await oauth.validateApplicationLevelSignature(as, redeemed, http);
result.scope = tokens.scope;

// Userinfo, which must be about the one the ID token named
const { sub } = oauth.getValidatedIdTokenClaims(tokens);
const info = await oauth.userInfoRequest(as, client, tokens.access_token, http);
result.userinfo = await oauth.processUserInfoResponse(as, client, sub, info);

// Refresh; the new access token validated as by a resource server (RFC 9068)
const refreshing = await oauth.refreshTokenGrantRequest(as, client, prove(), tokens.refresh_token, http);
const fresh = await oauth.processRefreshTokenResponse(as, client, refreshing);
result.rotated = fresh.refresh_token !== tokens.refresh_token;
const request = new Request(given.resource, { headers: { authorization: `Bearer ${fresh.access_token}` } });
result.claims = await oauth.validateJwtAccessToken(as, request, given.resource, http);

// Client credentials, with a secret and with a key
const machine = { client_id: given.machine.client_id };
const proveMachine = oauth.ClientSecretBasic(given.machine.client_secret);
const signer = { client_id: given.signer.client_id };
const proveSigner = oauth.PrivateKeyJwt(await readKey(given.signer.key));
result.machines = {};
for (const [who, proof] of [[machine, proveMachine], [signer, proveSigner]]) {
    const parameters = { scope: 'mcp.access', resource: given.resource };
    const response = await oauth.clientCredentialsGrantRequest(as, who, proof, parameters, http);
    result.machines[who.client_id] = await oauth.processClientCredentialsResponse(as, who, response);
}

// Introspection, before and after revocation of the refresh token, which invalidates all tokens of the sign-in
async function isActive(token) {
    const response = await oauth.introspectionRequest(as, machine, proveMachine, token, http);
    return (await oauth.processIntrospectionResponse(as, machine, response)).active;
}
result.active = [await isActive(fresh.access_token)];
const revoking = await oauth.revocationRequest(as, client, prove(), fresh.refresh_token, http);
await oauth.processRevocationResponse(revoking);
result.active.push(await isActive(fresh.access_token));

// Logout, which this library does not implement
const logout = new URL(as.end_session_endpoint);
const leaving = { id_token_hint: tokens.id_token, post_logout_redirect_uri: signedOutUri, state };
logout.search = new URLSearchParams(leaving);
result.signed_out = (await visit(logout)).searchParams.get('state') === state;

// The session has ended: a request with prompt=none fails with login_required
authorize.searchParams.set('prompt', 'none');
authorize.searchParams.set('id_token_hint', tokens.id_token);
const silently = await visit(authorize);
try {
    oauth.validateAuthResponse(as, client, silently, state);
} catch (error) {
    result.silently = error.error;
}

report(result);
