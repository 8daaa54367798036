// A client with the MCP TypeScript SDK 2.
// Usage: node sdk2_client.mjs '{ url, token, mode: legacy or auto, calls: [[name, arguments], ...] }'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const { url, token, mode, calls } = JSON.parse(process.argv[2]);
const requestInit = { headers: { authorization: `Bearer ${token}` } };
const client = new Client({ name: 'client-tests', version: '1' }, { versionNegotiation: { mode } });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
const { tools } = await client.listTools();
const results = {};
for (const [name, values] of calls) results[name] = await client.callTool({ name, arguments: values });
const version = client.getNegotiatedProtocolVersion();
await client.close();
console.log(JSON.stringify({ version, tools: tools.map(tool => tool.name), results }));
