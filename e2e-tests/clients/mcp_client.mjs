// An application with the TypeScript SDK: lists the tools, makes the calls it is given, steps up where one needs more.
// Reads one JSON object: { url, issuer, calls: [[name, arguments], ...], and one way in: secret, key or browser }.
// Prints a line { open } for each address that its user is to open, and at the end { clientId, tools, results, scopes }.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import {
    Client,
    ClientCredentialsProvider,
    PrivateKeyJwtProvider,
    StreamableHTTPClientTransport,
    UnauthorizedError
} from '@modelcontextprotocol/client';

const { url, issuer, calls, secret, key, browser } = JSON.parse(readFileSync(0, 'utf8'));
const say = line => console.log(JSON.stringify(line));
const scopes = [];

/** Keeps what the SDK gives it, and shows the user the way. */
class BrowserProvider {
    constructor(port, { documentUrl, client }) {
        this.redirectUrl = `http://localhost:${port}/callback`;
        this.clientMetadataUrl = documentUrl;
        this.client = client && { ...client, issuer };
        this.clientMetadata = {
            client_name: 'TypeScript Application',
            redirect_uris: [this.redirectUrl],
            grant_types: ['authorization_code', 'refresh_token'],
            response_types: ['code'],
            token_endpoint_auth_method: 'none'
        };
    }
    state = () => (this.expectedState = randomUUID());
    clientInformation = () => this.client;
    saveClientInformation = client => (this.client = client);
    tokens = () => this.kept;
    saveTokens = tokens => (this.kept = tokens);
    codeVerifier = () => this.verifier;
    saveCodeVerifier = verifier => (this.verifier = verifier);
    redirectToAuthorization = address => say({ open: address.href });
}

/** Does what may need the user first: then waits for the code, redeems it and does it again. */
async function withUser(action) {
    try {
        return await action();
    } catch (error) {
        if (!listener || !(error instanceof UnauthorizedError)) throw error;
        const [searchParams] = await once(listener, 'callback');
        if (searchParams.get('state') !== authProvider.expectedState) throw new Error('the state is not ours');
        await transport.finishAuth(searchParams);
        return await action();
    }
}

let listener, authProvider, transport, client;
if (browser) {
    listener = createServer((request, response) => {
        const { pathname, searchParams } = new URL(request.url, authProvider.redirectUrl);
        response.end('You may close this window.');
        if (pathname === '/callback') listener.emit('callback', searchParams);
    });
    await once(listener.listen(0, 'localhost'), 'listening');
    authProvider = new BrowserProvider(listener.address().port, browser);
} else if (key) {
    const [clientId, privateKey] = key;
    authProvider = new PrivateKeyJwtProvider({ clientId, privateKey, algorithm: 'ES256', expectedIssuer: issuer });
} else {
    const [clientId, clientSecret] = secret;
    authProvider = new ClientCredentialsProvider({ clientId, clientSecret, expectedIssuer: issuer });
}
const { saveTokens } = authProvider;
authProvider.saveTokens = tokens => {
    scopes.push(tokens.scope);
    saveTokens.call(authProvider, tokens);
};

await withUser(() => {
    transport = new StreamableHTTPClientTransport(new URL(url), { authProvider });
    client = new Client({ name: 'client-tests', version: '1' });
    return client.connect(transport);
});
const { tools } = await client.listTools();
const results = {};
for (const [name, given] of calls) {
    const recordId = results.store_sensitive_data?.structuredContent.record_id;
    const args = Object.fromEntries(Object.entries(given).map(([key, value]) => [key, value === '$record' ? recordId : value]));
    results[name] = await withUser(() => client.callTool({ name, arguments: args }));
}
await client.close();
listener?.close().closeAllConnections();
say({ clientId: authProvider.clientInformation().client_id, tools: tools.map(tool => tool.name), results, scopes });
