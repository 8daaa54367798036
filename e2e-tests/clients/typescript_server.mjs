// A server with the MCP TypeScript SDK 2: node typescript_server.mjs stdio|PORT
import { createServer } from 'node:http';
import { McpServer, createMcpHandler } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

function makeServer() {
    const server = new McpServer({ name: 'typescript', version: '1.0.0' });
    server.registerTool('echo', { inputSchema: z.object({ message: z.string() }) }, ({ message }) => ({
        content: [{ type: 'text', text: `Echo: ${message}` }]
    }));
    const weather = z.object({ location: z.string(), temperature: z.number() });
    server.registerTool('weather', { inputSchema: weather.pick({ location: true }), outputSchema: weather }, ({ location }) => {
        const structuredContent = { location, temperature: 21.5 };
        return { content: [{ type: 'text', text: JSON.stringify(structuredContent) }], structuredContent };
    });
    return server;
}

/** Answers a request of node:http with a handler of the Fetch API. */
async function serve(handler, request, response) {
    const chunks = await Array.fromAsync(request);
    const body = chunks.length ? Buffer.concat(chunks) : undefined;
    const { method, headers, url } = request;
    const answer = await handler.fetch(new Request(`http://${headers.host}${url}`, { method, headers, body }));
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    for await (const chunk of answer.body ?? []) response.write(chunk);
    response.end();
}

if (process.argv[2] === 'stdio') {
    serveStdio(makeServer);
} else {
    const handler = createMcpHandler(makeServer);
    createServer((request, response) => serve(handler, request, response)).listen(Number(process.argv[2]), '127.0.0.1');
}
