// An application with the MCP TypeScript SDK: lists the tools, makes the given calls, and steps up if one needs more scopes.
// Usage: node mcp_client.mjs '{ url, issuer, calls: [[name, arguments], ...], and one credential: secret, key, company or browser }'
import { randomUUID } from 'node:crypto';
import {
    Client,
    ClientCredentialsProvider,
    CrossAppAccessProvider,
    PrivateKeyJwtProvider,
    StreamableHTTPClientTransport,
    UnauthorizedError,
    discoverAndRequestJwtAuthGrant
} from '@modelcontextprotocol/client';
import { given, redirectUri, report, visit } from './browser.mjs';

const { url, issuer, calls, secret, key, company, browser } = given;
const scopes = [];
let cameBack;

/** Keeps what the SDK gives it, and sends the user where the SDK says. */
class BrowserProvider {
    constructor({ documentUrl, client }) {
        this.redirectUrl = redirectUri;
        this.clientMetadataUrl = documentUrl;
        this.client = client && { ...client, issuer };
        this.clientMetadata = {
            client_name: 'TypeScript Application',
            redirect_uris: [redirectUri],
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
    redirectToAuthorization(address) {
        cameBack = visit(address);
    }
}

/** Gets an ID-JAG of the company's provider for each token (enterprise-managed authorization). */
function makeCompanyProvider({ provider, idToken, clientId, secretAtProvider, secret }) {
    return new CrossAppAccessProvider({
        assertion: async ({ authorizationServerUrl, resourceUrl, scope, fetchFn }) => {
            const granted = await discoverAndRequestJwtAuthGrant({
                idpUrl: provider,
                audience: authorizationServerUrl,
                resource: resourceUrl,
                idToken,
                clientId,
                clientSecret: secretAtProvider,
                scope,
                fetchFn
            });
            return granted.jwtAuthGrant;
        },
        clientId,
        clientSecret: secret,
        expectedIssuer: issuer
    });
}

function makeProvider() {
    if (company) return makeCompanyProvider(company);
    if (browser) return new BrowserProvider(browser);
    if (secret) return new ClientCredentialsProvider({ clientId: secret[0], clientSecret: secret[1], expectedIssuer: issuer });
    return new PrivateKeyJwtProvider({ clientId: key[0], privateKey: key[1], algorithm: 'ES256', expectedIssuer: issuer });
}

/** Does what may need the user first: then waits for the code, redeems it and does it again. */
async function withUser(action) {
    try {
        return await action();
    } catch (error) {
        if (!browser || !(error instanceof UnauthorizedError)) throw error;
        const { searchParams } = await cameBack;
        if (searchParams.get('state') !== authProvider.expectedState) throw new Error('the state is not ours');
        await transport.finishAuth(searchParams);
        return await action();
    }
}

const authProvider = makeProvider();
const { saveTokens } = authProvider;
authProvider.saveTokens = tokens => {
    scopes.push(tokens.scope);
    saveTokens.call(authProvider, tokens);
};

let transport, client;
await withUser(() => {
    transport = new StreamableHTTPClientTransport(new URL(url), { authProvider });
    client = new Client({ name: 'client-tests', version: '1' });
    return client.connect(transport);
});
const { tools } = await client.listTools();
const results = {};
for (const [name, values] of calls) {
    const record = results.store_sensitive_data?.structuredContent.record_id;
    const filled = Object.entries(values).map(([key, value]) => [key, value === '$record' ? record : value]);
    results[name] = await withUser(() => client.callTool({ name, arguments: Object.fromEntries(filled) }));
}
await client.close();
report({ clientId: authProvider.clientInformation().client_id, tools: tools.map(tool => tool.name), results, scopes });
