// Lists the tools and makes the calls given on standard input, as JSON [[name, arguments], ...]; prints one JSON object.
// Usage: node call_tools.mjs MCP_URL ISSUER CLIENT_ID CLIENT_SECRET
import { readFileSync } from 'node:fs';
import { Client, ClientCredentialsProvider, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, expectedIssuer, clientId, clientSecret] = process.argv.slice(2);
const calls = JSON.parse(readFileSync(0, 'utf8'));

const scopes = [];
class RememberingProvider extends ClientCredentialsProvider {
    saveTokens(tokens) {
        scopes.push(tokens.scope);
        super.saveTokens(tokens);
    }
}

const authProvider = new RememberingProvider({ clientId, clientSecret, expectedIssuer });
const client = new Client({ name: 'client-tests', version: '1' });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { authProvider }));

const { tools } = await client.listTools();
const results = {};
for (const [name, args] of calls) {
    results[name] = await client.callTool({ name, arguments: args });
}
await client.close();
console.log(JSON.stringify({ tools: tools.map(tool => tool.name), results, scopes }));
