// A real OpenID provider (npm oidc-provider) that behaves as Keycloak does: its issuer has a path, and its access tokens
// name the client in "azp". Users sign in by the authorization code flow.
// usage: node oidc_provider.mjs DIRECTORY   (with trusted.pem: key and certificate for localhost)
// Prints {issuer}; then answers lines of JSON:
//   ["sign_in", user, audience]   signs a user in: {access_token, id_token}
//   ["machine", audience]         client credentials: {access_token}
//   ["rotate", alg]               signs with a new key of this algorithm, and publishes the old keys, too
//   ["forget"]                    publishes only the newest key
//   ["move", path]                publishes the keys at another path; the old path answers 404
//   ["requests"]                  {paths}: what the https server was asked for since the last question
import { randomBytes, createHash, generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { join } from "node:path";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const realm = "/realms/notes";
const client = { client_id: "notes-web", client_secret: randomBytes(32).toString("hex") };
const redirectUri = "https://app.example.com/callback";
const users = { alice: "6f1c2a34-9b7d-4e58-8a21-0c5d7e9f1b23", bob: "a0b1c2d3-e4f5-4061-8728-394a5b6c7d8e" };
const keyTypes = { RS256: ["rsa", { modulusLength: 2048 }], ES256: ["ec", { namedCurve: "P-256" }] };

let keys = [];
let jwksPath = "/protocol/openid-connect/certs";
let provider;
let paths = [];

function restart(algorithm) {
  const algorithms = [...new Set(keys.map((key) => key.alg))];
  provider = new Provider(issuer, {
    clients: [{
      ...client,
      redirect_uris: [redirectUri],
      grant_types: ["authorization_code", "client_credentials"],
      id_token_signed_response_alg: algorithm,
    }],
    jwks: { keys },
    routes: { jwks: jwksPath },
    enabledJWA: { idTokenSigningAlgValues: [...algorithms, "HS256"] },
    cookies: { keys: ["cookies of the test"] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: "alice@example.com", email_verified: true }) }),
    ttl: { AccessToken: 300, ClientCredentials: 300, IdToken: 300, Grant: 300, Interaction: 300, Session: 300 },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        // A client of Keycloak is an audience, too, and oidc-provider wants a URI.
        getResourceServerInfo: (_, audience) =>
          ({ audience: audience.replace("urn:client:", ""), scope: "notes", accessTokenFormat: "jwt", jwt: { sign: { alg: algorithm } } }),
      },
    },
    extraTokenClaims: (_, token) => ({
      typ: "Bearer",
      azp: token.clientId,
      realm_access: { roles: ["editor", "offline_access"] },
      ...(token.kind === "AccessToken" && { email: "alice@example.com", email_verified: true }),
    }),
    formats: { customizers: { jwt: (_ctx, _token, jwt) => { jwt.header = { ...jwt.header, typ: "JWT" }; } } },
  });
  provider.proxy = true;
}

function addKey(algorithm) {
  const { privateKey } = generateKeyPairSync(...keyTypes[algorithm]);
  keys.unshift({ ...privateKey.export({ format: "jwk" }), alg: algorithm, use: "sig", kid: randomBytes(8).toString("hex") });
  restart(algorithm);
}

const asUri = (audience) => (audience.includes(":") ? audience : `urn:client:${audience}`);

const serve = (request, response) => {
  if (!request.url.startsWith(realm)) return response.writeHead(404).end();
  request.originalUrl = request.url;
  request.url = request.url.slice(realm.length) || "/";
  return provider.callback()(request, response);
};

async function listen(server) {
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return server.address().port;
}
const pem = readFileSync(join(process.argv[2], "trusted.pem"));
const issuer = `https://localhost:${await listen(createHttpsServer({ key: pem, cert: pem }, (request, response) => {
  paths.push(request.url);
  return serve(request, response);
}))}${realm}`;
// The browser's side is behind a proxy that ends TLS, so the flow below needs no certificate.
const browser = `http://localhost:${await listen(createHttpServer(serve))}`;
const { host } = new URL(issuer);
const headers = { "x-forwarded-proto": "https", "x-forwarded-host": host };

async function token(parameters) {
  const answer = await fetch(`${browser}${realm}/token`, {
    method: "POST",
    headers: { ...headers, authorization: `Basic ${btoa(`${client.client_id}:${client.client_secret}`)}` },
    body: new URLSearchParams(parameters),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(JSON.stringify(body));
  return body;
}

async function signIn(user, audience) {
  const verifier = randomBytes(32).toString("base64url");
  const query = new URLSearchParams({
    client_id: client.client_id,
    response_type: "code",
    scope: "openid",
    redirect_uri: redirectUri,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    resource: asUri(audience),
  });
  const cookies = new Map();
  let location = `${issuer}/auth?${query}`;
  let prompt = "login";
  while (!location.startsWith(redirectUri)) {
    const { pathname, search } = new URL(location, issuer);
    const asked = pathname.includes("/interaction/");
    const answer = await fetch(browser + pathname + search, {
      method: asked ? "POST" : "GET",
      redirect: "manual",
      headers: { ...headers, cookie: [...cookies].map((pair) => pair.join("=")).join("; ") },
      ...(asked && { body: new URLSearchParams({ prompt, login: users[user], password: "any" }) }),
    });
    if (asked) prompt = "consent";
    for (const cookie of answer.headers.getSetCookie()) {
      const [name, value] = cookie.split(";")[0].split(/=(.*)/s);
      cookies.set(name, value);
    }
    location = answer.headers.get("location");
    if (!location) throw new Error(`${answer.status} of ${pathname}: ${await answer.text()}`);
  }
  const code = new URL(location).searchParams.get("code");
  return token({ grant_type: "authorization_code", code, redirect_uri: redirectUri, code_verifier: verifier });
}

const commands = {
  sign_in: signIn,
  machine: (audience) => token({ grant_type: "client_credentials", resource: asUri(audience), scope: "notes" }),
  rotate: addKey,
  forget: () => { keys = keys.slice(0, 1); restart(keys[0].alg); },
  move: (path) => { jwksPath = path; restart(keys[0].alg); },
  requests: () => ({ paths: paths.splice(0) }),
};

addKey("RS256");
console.log(JSON.stringify({ issuer, client_id: client.client_id, users }));
for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...parameters] = JSON.parse(line);
  let answer;
  try {
    answer = await commands[command](...parameters);
  } catch (error) {
    answer = { error: String(error) };
  }
  console.log(JSON.stringify(answer ?? {}));
}
process.exit();
