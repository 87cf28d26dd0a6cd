// A real app with Better Auth on Drizzle, its jwt plugin, and the guide's code on the server and in the page.
// usage: node guides/better_auth.mjs PGHOST_SOCKET_DIR DATABASE SCHEMA JWT_SECRET [POSTGREST_URL]
// Prints {base_url, secret, users: {ada, ben}}, waits for a line, and prints what was seen.
import { rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";
import { adapters } from "../better_auth_adapters/adapters.mjs";
import { connect, secret } from "../better_auth_tables.mjs";
import { anonKey, startApi } from "../insforge_api.mjs";
import { compiledCode } from "./code.mjs";

const [host, database, schema, jwtSecret, postgrest] = process.argv.slice(2);
const api = await startApi({ host, database, secret: jwtSecret, postgrest });
const server = createServer();
server.listen(0, "127.0.0.1");
await once(server, "listening");
const baseURL = `http://localhost:${server.address().port}`;
Object.assign(process.env, { NEXT_PUBLIC_INSFORGE_URL: api.url, NEXT_PUBLIC_INSFORGE_ANON_KEY: anonKey, BETTER_AUTH_URL: baseURL });

// The app: `auth.mjs` is the reader's own file.
const pool = await connect(host, database, schema);
const options = { baseURL, secret, database: pool, emailAndPassword: { enabled: true }, rateLimit: { enabled: false }, plugins: [jwt()] };
options.database = await adapters.drizzle(options, pool, false);
const code = compiledCode();
writeFileSync(join(code, "auth.mjs"), `
import { betterAuth } from "better-auth";
export let auth;
export function start(options) { auth = betterAuth(options); }
`);
const app = await import(`${code}/auth.mjs`);
app.start(options);
const { insforge } = await import(`${code}/better_auth_server.mjs`);
const byCookie = await import(`${code}/better_auth_cookie.mjs`);
const authHandler = toNodeHandler(app.auth);

const notes = async (client) => {
  const { data, error } = await client.database.from("notes").select("user_id, body");
  return error ? { code: error.code, message: error.message } : data;
};
const later = () => new Promise((ready) => setTimeout(ready, Math.random() * 20));
const routes = {
  "/notes": async (headers) => {
    const client = insforge(headers);
    await later();
    return notes(client);
  },
  "/write": async (headers) => (await insforge(headers).database.from("notes").insert([{ body: "mine" }])).error,
  "/cookie": async (headers) => notes(await byCookie.insforge(headers)),
};
server.on("request", async (request, response) => {
  const route = routes[request.url];
  if (!route) return authHandler(request, response);
  const answer = await route(new Headers(request.headers)).catch((error) => ({ code: error.code, message: error.message }));
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
});

/** A fetch that keeps cookies, as a browser's. */
const { fetch } = globalThis;
function browser() {
  const cookies = new Map();
  return async (input, init = {}) => {
    const headers = new Headers(init.headers);
    if (!String(input).startsWith(baseURL)) return fetch(input, init);
    headers.set("cookie", [...cookies].map(([name, value]) => `${name}=${value}`).join("; "));
    headers.set("origin", baseURL);
    const response = await fetch(input, { ...init, headers });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (value) cookies.set(name, value);
      else cookies.delete(name);
    }
    return response;
  };
}
const password = "correct horse battery staple";
async function signUp(name) {
  const send = browser();
  const body = JSON.stringify({ email: `${name}@example.com`, password, name });
  const response = await send(`${baseURL}/api/auth/sign-up/email`, { method: "POST", headers: { "content-type": "application/json" }, body });
  const { user } = await response.json();
  return { id: user.id, send, get: async (path) => (await send(baseURL + path)).json() };
}
const [ada, ben] = [await signUp("ada"), await signUp("ben")];
const nobody = { get: async (path) => (await browser()(baseURL + path)).json() };
console.log(JSON.stringify({ base_url: baseURL, secret, users: { ada: ada.id, ben: ben.id } }));
await once(createInterface({ input: process.stdin }), "line");

const seen = { written: [await ada.get("/write"), await ben.get("/write")] };
for (const [name, user] of Object.entries({ ada, ben, nobody })) {
  seen[name] = await user.get("/notes");
  seen[`${name}_by_cookie`] = await user.get("/cookie");
}
const answers = await Promise.all(Array.from({ length: 20 }, async (_, index) => {
  const user = index % 2 ? ben : ada;
  return (await user.get("/notes")).every(({ user_id }) => user_id === user.id);
}));
seen.wrong = answers.filter((isRight) => !isRight).length;

// Ada's page.
globalThis.fetch = ada.send;
const page = await import(`${code}/better_auth_browser.mjs`);
seen.page = await notes(page.insforge);
await page.authClient.signOut();
seen.page_after_sign_out = await notes(page.insforge);
seen.ada_after_sign_out = await ada.get("/notes");
seen.ada_by_cookie_after_sign_out = await ada.get("/cookie");
// The suite ends this program when it has the answer.
rmSync(code, { recursive: true });
console.log(JSON.stringify(seen));
process.exit();
