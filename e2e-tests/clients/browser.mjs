// The redirect URI of an application: listens on a loopback port and prints the URL that the user has to open.
import { createServer } from 'node:http';

/** What the test gave on the command line, as JSON. */
export const given = JSON.parse(process.argv[2]);

const waiting = [];
const server = createServer((request, response) => {
    response.setHeader('connection', 'close').end('You may close this window.');
    if (/^\/(callback|signed-out)\b/.test(request.url)) waiting.shift()?.(new URL(request.url, origin));
});
await new Promise(resolve => server.listen(0, 'localhost', resolve));
const origin = `http://localhost:${server.address().port}`;

setTimeout(() => { throw new Error('not done within a minute'); }, 60_000).unref();

export const redirectUri = `${origin}/callback`;
export const signedOutUri = `${origin}/signed-out`;

/** Where the browser comes back to after it was sent to `url`. */
export function visit(url) {
    return new Promise(resolve => {
        waiting.push(resolve);
        console.log(JSON.stringify({ open: url.href }));
    });
}

/** The metadata with which an application of this machine registers (RFC 7591). */
export function describe(client_name, token_endpoint_auth_method, jwks) {
    return {
        client_name,
        application_type: 'native',
        redirect_uris: [redirectUri],
        post_logout_redirect_uris: [signedOutUri],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method,
        ...(token_endpoint_auth_method === 'private_key_jwt' && { jwks }),
    };
}

/** Says what was found, and stops listening. */
export function report(result) {
    console.log(JSON.stringify({ result }));
    server.close();
}

/** A client's own key: the private half for its assertions, the public one for its registration. */
export async function makeKey() {
    const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
    const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey);
    const kid = 'made-here';
    return { privateKey: { key: pair.privateKey, kid }, jwks: { keys: [{ kty, crv, x, y, kid, alg: 'ES256' }] } };
}

/** The private key of a client that the operator declared. */
export async function readKey(jwk) {
    const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
    return { key, kid: jwk.kid };
}
