// An OpenID provider that signs everyone in and sends what a test sets: oauth2-mock-server, with its hooks.
// Usage: node mock_provider.mjs PORT. It prints a line of JSON when it listens. POST /next sets the changes of the
// responses from then on: the members `id_token`, `header` (of the ID token), `tokens` (the token response), `userinfo`
// and `redirect` (the parameters of the authorization response) replace those that the server would send, and null
// removes one; `status` is that of the token response.
import { Events, OAuth2Server } from 'oauth2-mock-server';

const port = Number(process.argv[2]);
const server = new OAuth2Server();
await server.issuer.keys.generate('RS256');
server.issuer.url = `http://localhost:${port}`;
let next = {};

function change(target, members = {}) {
    for (const [name, value] of Object.entries(members)) {
        if (value === null) delete target[name];
        else target[name] = value;
    }
}

server.service.addRoute('POST', '/next', (request, response) => {
    next = request.body;
    response.writeHead(204).end();
});
server.service.on(Events.BeforeTokenSigning, token => {
    if ('scope' in token.payload) return; // the access token
    change(token.header, next.header);
    change(token.payload, next.id_token);
});
server.service.on(Events.BeforeResponse, response => {
    change(response.body, next.tokens);
    response.statusCode = next.status ?? response.statusCode;
});
server.service.on(Events.BeforeUserinfo, response => change(response.body, next.userinfo));
server.service.on(Events.BeforeAuthorizeRedirect, ({ url }) => {
    const parameters = Object.fromEntries(url.searchParams);
    change(parameters, next.redirect);
    url.search = new URLSearchParams(parameters);
});

await server.start(port, '127.0.0.1');
console.log(JSON.stringify({ listening: true }));
