// An OpenID provider that signs everyone in as one person: oidc-provider with all its checks, for one client.
// Usage: node openid_provider.mjs JSON, with the members that test_openid_provider.py passes. It prints one line of
// JSON when it listens, and one for each logout token that was answered. POST /people adds or changes people: an object
// with their claims by subject. The first of them signs in from then on.
import { json } from 'node:stream/consumers';
import Provider from 'oidc-provider';

const given = JSON.parse(process.argv[2]);
const scope = 'openid profile email offline_access';
const people = { [given.person]: { groups: ['staff'], name: 'Hong Gildong' } };
let signsIn = given.person;

const provider = new Provider(`http://localhost:${given.port}`, {
    clients: [
        {
            client_id: given.client_id,
            client_secret: given.client_secret,
            grant_types: ['authorization_code', 'refresh_token'],
            redirect_uris: [given.redirect_uri],
            backchannel_logout_uri: given.backchannel_logout_uri,
            backchannel_logout_session_required: true,
        },
    ],
    features: {
        devInteractions: { enabled: false },
        backchannelLogout: { enabled: true },
        rpInitiatedLogout: { enabled: true },
    },
    scopes: scope.split(' '),
    claims: { openid: ['sub', 'groups'], profile: ['name', 'preferred_username'], email: ['email'] },
    cookies: { keys: ['for tests'] },
    issueRefreshToken: () => true,
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    // auth-service listens on 127.0.0.1 only; `localhost` can be ::1 as well.
    fetch: (url, { dispatcher, ...options }) => fetch(String(url).replace('localhost', '127.0.0.1'), options),
});

provider.use(async (context, next) => {
    if (context.path !== '/people') {
        return next();
    }
    const changes = await json(context.req);
    Object.assign(people, changes);
    [signsIn] = Object.keys(changes);
    context.status = 204;
});

provider.use(async (context, next) => {
    if (!context.path.startsWith('/interaction/')) {
        return next();
    }
    const { prompt, session, params } = await provider.interactionDetails(context.req, context.res);
    const answer = prompt.name === 'login' ? signIn() : await consent(session, params);
    const options = { mergeWithLastSubmission: true };
    context.redirect(await provider.interactionResult(context.req, context.res, answer, options));
});

function signIn() {
    return { login: { accountId: signsIn } };
}

async function consent(session, params) {
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(scope);
    return { consent: { grantId: await grant.save() } };
}

const print = line => console.log(JSON.stringify(line));

provider.on('backchannel.success', () => print({ logout_token: 'accepted' }));
provider.on('backchannel.error', (_, error) => print({ logout_token: error.message }));
provider.listen(given.port, '127.0.0.1', () => print({ listening: true }));
