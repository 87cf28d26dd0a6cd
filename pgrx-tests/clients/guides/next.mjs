// The guides' code for servers in a real Next.js server, with the providers' real packages. The providers' clouds are not
// real: a server here gives out the tokens and their keys. WorkOS and Kinde sign in through their own routes; the sessions
// of the others are made as their packages store them.
// usage: node guides/next.mjs PGHOST_SOCKET_DIR DATABASE SECRET USERS.json [POSTGREST_URL]
//   USERS.json   {provider: {ids: [ada, ben], tokens: [ada, ada again, ben, ada expired], jwks}}
// Prints what was seen for each provider.
import { execFileSync, spawn } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSocket } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { generateSessionCookie } from "@auth0/nextjs-auth0/testing";
import { anonKey, startApi } from "../insforge_api.mjs";
import { copyCode, newDirectory } from "./code.mjs";

const [host, database, secret, file, postgrest] = process.argv.slice(2);
const users = JSON.parse(readFileSync(file, "utf8"));
const ofUser = (provider, name) => ({
  id: users[provider].ids[name === "ben" ? 1 : 0],
  token: users[provider].tokens[{ ada: 0, ben: 2, expired: 3 }[name]],
});
const api = await startApi({ host, database, secret, postgrest });

// The clouds. An authorization code is the user's name.
const json = { "content-type": "application/json" };
const cloud = createServer(async (request, response) => {
  const body = await text(request);
  const answer = (value, status = 200) => response.writeHead(status, json).end(JSON.stringify(value));
  const { pathname } = new URL(request.url, "http://localhost");
  const claimed = (parameters) => parameters.code ?? (parameters.refresh_token ? "ada" : null);
  if (pathname.startsWith("/sso/jwks/")) return answer(JSON.parse(users.workos.jwks));
  if (pathname.startsWith("/.well-known/jwks")) return answer(JSON.parse(users.kinde.jwks));
  if (pathname.startsWith("/v1/sessions/jwks/")) return answer(JSON.parse(users.stytch.jwks));
  if (pathname === "/v1/sessions/authenticate") {
    const { session_jwt } = JSON.parse(body);
    const isExpired = session_jwt === ofUser("stytch", "expired").token;
    return answer({ status_code: 200, session: {}, session_jwt: isExpired ? ofUser("stytch", "ada").token : session_jwt });
  }
  if (pathname === "/user_management/authenticate") {
    const { id, token } = ofUser("workos", claimed(JSON.parse(body)));
    return answer({ user: { object: "user", id, email: "ada@example.com" }, access_token: token, refresh_token: "refresh" });
  }
  if (pathname === "/oauth2/token") {
    const { token } = ofUser("kinde", claimed(Object.fromEntries(new URLSearchParams(body))));
    return answer({ access_token: token, id_token: token, refresh_token: "refresh", token_type: "bearer", expires_in: 3600, scope: "openid" });
  }
  answer({ error: pathname }, 404);
});
cloud.listen(0, "127.0.0.1");
await once(cloud, "listening");
const cloudPort = cloud.address().port;
const freePort = createSocket().listen(0, "127.0.0.1");
await once(freePort, "listening");
const { port } = freePort.address();
await new Promise((closed) => freePort.close(closed));
const site = `http://localhost:${port}`;

const pem = (jwks) => createPublicKey({ key: JSON.parse(jwks).keys[0], format: "jwk" }).export({ type: "spki", format: "pem" });
const auth0Secret = "a secret for tests, the same in every run";
Object.assign(process.env, {
  NEXT_TELEMETRY_DISABLED: "1",
  NODE_ENV: "production",
  NEXT_PUBLIC_INSFORGE_URL: api.url,
  NEXT_PUBLIC_INSFORGE_ANON_KEY: anonKey,
  CLOUD: `http://127.0.0.1:${cloudPort}`,
  WORKOS_CLIENT_ID: "client_01EXAMPLE",
  WORKOS_API_KEY: "sk_test_example",
  WORKOS_COOKIE_PASSWORD: "a password for tests, the same in every run",
  WORKOS_API_HOSTNAME: "127.0.0.1",
  WORKOS_API_HTTPS: "false",
  WORKOS_API_PORT: String(cloudPort),
  NEXT_PUBLIC_WORKOS_REDIRECT_URI: `${site}/workos/callback`,
  KINDE_CLIENT_ID: "0123456789abcdef0123456789abcdef",
  KINDE_CLIENT_SECRET: "aSecretForTests".repeat(4),
  KINDE_ISSUER_URL: "https://example.kinde.com",
  KINDE_SITE_URL: site,
  KINDE_POST_LOGIN_REDIRECT_URL: `${site}/kinde/notes`,
  KINDE_POST_LOGOUT_REDIRECT_URL: site,
  NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY: `pk_live_${Buffer.from("clerk.example.com$").toString("base64")}`,
  CLERK_SECRET_KEY: "sk_live_example",
  CLERK_JWT_KEY: pem(users.clerk.jwks),
  CLERK_TELEMETRY_DISABLED: "1",
  AUTH0_DOMAIN: "example.eu.auth0.com",
  AUTH0_CLIENT_ID: "client",
  AUTH0_CLIENT_SECRET: "a secret for tests",
  AUTH0_SECRET: auth0Secret,
  APP_BASE_URL: site,
  STYTCH_PROJECT_ID: "project-test-11111111-1111-4111-8111-111111111111",
  STYTCH_SECRET: "a secret for tests",
});

// The app: its own files, the guides' code in lib/, and for each provider a route with the header and one with the exchange.
const providers = Object.keys(users);
const app = newDirectory();
cpSync(fileURLToPath(new URL("app", import.meta.url)), app, { recursive: true });
copyCode(join(app, "lib"));
for (const provider of providers) {
  const routes = {
    notes: `
import { insforge } from "../../../lib/${provider}_server";
export async function GET() {
  const client = insforge();
  await new Promise((later) => setTimeout(later, Math.random() * 50));
  const { data, error } = await client.database.from("notes").select("user_id, body");
  return Response.json(error ?? data);
}`,
    exchanged: `
import { exchangedClient } from "../../../lib/exchange";
import { getToken } from "../../../lib/${provider}_server";
export async function GET() {
  const client = await exchangedClient("${provider}", getToken);
  return Response.json((await client.functions.invoke("whoami")).data);
}`,
  };
  for (const [name, code] of Object.entries(routes)) {
    mkdirSync(join(app, "app", provider, name), { recursive: true });
    writeFileSync(join(app, "app", provider, name, "route.ts"), code);
  }
}
const next = fileURLToPath(new URL("node_modules/next/dist/bin/next", import.meta.url));
try {
  execFileSync(process.execPath, [next, "build", app], { stdio: ["ignore", "pipe", "pipe"] });
} catch (error) {
  console.error(String(error.stdout), String(error.stderr));
  process.exit(1);
}
const server = spawn(process.execPath, [next, "start", app, "--port", port, "--hostname", "localhost"], { stdio: ["ignore", "pipe", "inherit"] });
process.on("exit", () => server.kill());
for await (const line of server.stdout) if (String(line).includes("Ready")) break;
server.stdout.resume();
server.stdout.on("data", (line) => process.stderr.write(line));

/** A browser with its cookies. It does not follow redirects. */
class Browser {
  cookies = new Map();

  async get(url) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { accept: "text/html", cookie };
    const response = await fetch(new URL(url, site), { headers, redirect: "manual" });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (value) this.cookies.set(name, value);
      else this.cookies.delete(name);
    }
    const body = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json");
    return { status: response.status, location: response.headers.get("location"), body: isJson ? JSON.parse(body) : body };
  }

  /** Goes to the provider by the app's own route, and comes back with a code. */
  async signIn(start, callback, name) {
    const { location, ...answer } = await this.get(start);
    if (!location) throw new Error(`${start}: ${JSON.stringify(answer)}`);
    const state = new URL(location).searchParams.get("state");
    const back = await this.get(`${callback}?${new URLSearchParams({ code: name, state })}`);
    if (back.status >= 400) throw new Error(`${callback}: ${JSON.stringify(back)}`);
  }
}

const signIn = {
  workos: (browser, name) => browser.signIn("/workos/sign-in", "/workos/callback", name),
  kinde: (browser, name) => browser.signIn("/api/auth/login", "/api/auth/kinde_callback", name),
  clerk: (browser, name) => {
    browser.cookies.set("__session", ofUser("clerk", name).token);
    browser.cookies.set("__client_uat", "1");
  },
  auth0: async (browser, name) => {
    const { id, token } = ofUser("auth0", name);
    const expiresAt = Math.floor(Date.now() / 1000) + 600;
    const tokenSet = { accessToken: token, expiresAt, audience: "https://api.example.com", requestedScope: "openid profile email offline_access", scope: "openid profile email offline_access" };
    browser.cookies.set("__session", await generateSessionCookie({ user: { sub: id }, tokenSet }, { secret: auth0Secret }));
  },
  stytch: (browser, name) => browser.cookies.set("stytch_session_jwt", ofUser("stytch", name).token),
};

const seen = {};
for (const provider of providers) {
  const signedIn = async (name) => {
    const browser = new Browser();
    await signIn[provider](browser, name);
    return browser;
  };
  try {
    const browsers = { nobody: new Browser(), ada: await signedIn("ada"), ben: await signedIn("ben") };
    const of = (seen[provider] = {});
    for (const [name, browser] of Object.entries(browsers)) {
      of[name] = (await browser.get(`/${provider}/notes`)).body;
      of[`${name}_exchanged`] = (await browser.get(`/${provider}/exchanged`)).body;
    }
    const answers = await Promise.all(Array.from({ length: 20 }, async (_, index) => {
      const name = index % 2 ? "ben" : "ada";
      const { body } = await browsers[name].get(`/${provider}/notes`);
      return JSON.stringify(body) === JSON.stringify(of[name]);
    }));
    of.wrong = answers.filter((isRight) => !isRight).length;
    // The code for pages is rendered on the server, too.
    if (["clerk", "workos"].includes(provider)) of.page = /<p>function<\/p>/.test((await browsers.ada.get(`/${provider}/page`)).body);
    if (provider === "stytch") of.expired = (await (await signedIn("expired")).get("/stytch/notes")).body;
  } catch (error) {
    seen[provider] = String(error.stack);
  }
}
await api.stop();
console.log(JSON.stringify(seen));
process.exit();
