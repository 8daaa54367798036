// Every request that openid-client can send to an OpenID provider, from discovery to logout. The library
// verifies the responses: one that violates a specification throws.
// Usage: node openid_client.mjs JSON, with the members that test_openid_clients.py passes
import * as client from 'openid-client';
import { describe, given, makeKey, readKey, redirectUri, report, signedOutUri, visit } from './browser.mjs';

const issuer = new URL(given.issuer);
const discover = { execute: [client.allowInsecureRequests] };
const result = {};

// Discovery; dynamic registration of an application that was not declared
const { privateKey, jwks } = await makeKey();
const prove = {
    none: () => client.None(),
    client_secret_basic: secret => client.ClientSecretBasic(secret),
    client_secret_post: secret => client.ClientSecretPost(secret),
    private_key_jwt: () => client.PrivateKeyJwt(privateKey),
}[given.method];
const application = given.application ? await known(given.application) : await register(given.method);

function known({ client_id, client_secret }) {
    return client.discovery(issuer, client_id, client_secret, prove(client_secret), discover);
}

async function register(method) {
    const metadata = describe('openid-client', method, jwks);
    const options = { ...discover, initialAccessToken: given.initial_access_token };
    const configuration = await client.dynamicClientRegistration(issuer, metadata, prove(), options);
    result.registered = configuration.clientMetadata();
    return configuration;
}

// Authorization code with PKCE, state, nonce and iss, through a browser
const pkceCodeVerifier = client.randomPKCECodeVerifier();
const expectedState = client.randomState();
const expectedNonce = client.randomNonce();
const authorize = client.buildAuthorizationUrl(application, {
    redirect_uri: redirectUri,
    scope: 'openid profile email offline_access mcp.access',
    resource: given.resource,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    nonce: expectedNonce,
    max_age: 300,
});
const answer = await visit(authorize);
result.iss = answer.searchParams.get('iss');
client.enableNonRepudiationChecks(application);
const checks = { pkceCodeVerifier, expectedState, expectedNonce, maxAge: 300, idTokenExpected: true };
const tokens = await client.authorizationCodeGrant(application, answer, checks, { resource: given.resource });
result.scope = tokens.scope;

// Userinfo, which must be about the one the ID token named; refresh
result.userinfo = await client.fetchUserInfo(application, tokens.access_token, tokens.claims().sub);
const fresh = await client.refreshTokenGrant(application, tokens.refresh_token);
result.rotated = fresh.refresh_token !== tokens.refresh_token;

// Client credentials, with a secret and with a key
const machine = await client.discovery(issuer, given.machine.client_id, given.machine.client_secret, undefined, discover);
const proof = client.PrivateKeyJwt(await readKey(given.signer.key));
const signer = await client.discovery(issuer, given.signer.client_id, undefined, proof, discover);
result.machines = {};
for (const who of [machine, signer]) {
    const parameters = { scope: 'mcp.access', resource: given.resource };
    result.machines[who.clientMetadata().client_id] = await client.clientCredentialsGrant(who, parameters);
}

// Introspection, before and after revocation of the refresh token, which invalidates all tokens of the sign-in
const before = await client.tokenIntrospection(machine, fresh.access_token);
await client.tokenRevocation(application, fresh.refresh_token);
const after = await client.tokenIntrospection(machine, fresh.access_token);
result.claims = before;
result.active = [before.active, after.active];

// Logout
const leaving = { id_token_hint: tokens.id_token, post_logout_redirect_uri: signedOutUri, state: expectedState };
const left = await visit(client.buildEndSessionUrl(application, leaving));
result.signed_out = left.searchParams.get('state') === expectedState;

// The session has ended: a request with prompt=none fails with login_required
authorize.searchParams.set('prompt', 'none');
authorize.searchParams.set('id_token_hint', tokens.id_token);
const silently = await visit(authorize);
try {
    await client.authorizationCodeGrant(application, silently, checks);
} catch (error) {
    result.silently = error.error;
}

report(result);
