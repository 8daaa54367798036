// A client with the MCP TypeScript SDK 1. Usage: node sdk1_client.mjs '{ url, token, calls: [[name, arguments], ...] }'
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const { url, token, calls } = JSON.parse(process.argv[2]);
const requestInit = { headers: { authorization: `Bearer ${token}` } };
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit });
const client = new Client({ name: 'client-tests', version: '1' });
await client.connect(transport);
const { tools } = await client.listTools();
const results = {};
for (const [name, values] of calls) results[name] = await client.callTool({ name, arguments: values });
await client.close();
console.log(JSON.stringify({ version: transport.protocolVersion, tools: tools.map(tool => tool.name), results }));
