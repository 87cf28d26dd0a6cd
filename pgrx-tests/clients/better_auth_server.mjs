// A Better Auth server over HTTP, with the plugins jwt, admin and organization, and a browser. The browser reads commands
// from standard input, one JSON array a line, and answers each with a line of JSON.
// usage: node better_auth_server.mjs PGHOST_SOCKET_DIR DATABASE SCHEMA [ADAPTER NAMES IDS]
//   ADAPTER  kysely (default), drizzle or prisma
//   NAMES    default, plural, or renamed: the names in better_auth_tables.mjs
//   IDS      text (default), uuid or serial
//   ["sign-up", email]            signs up and stays signed in: {user_id, cookie, session_token}
//   ["sign-in", email]            the same for an existing user
//   ["token"]                     a token of the jwt plugin: {token}
//   ["post", path, body]          any other call as the signed-in user: {status, body}
//   ["sign-out"]                  ends the session: {status}
// It first prints {base_url, secret}.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { betterAuth } from "better-auth";
import { toNodeHandler } from "better-auth/node";
import { admin, jwt, organization } from "better-auth/plugins";
import { connect, migrate, named, secret } from "./better_auth_tables.mjs";

const [host, database, schema, adapter = "kysely", names = "default", ids = "text"] = process.argv.slice(2);
if (!schema) {
  console.error("usage: node better_auth_server.mjs PGHOST_SOCKET_DIR DATABASE SCHEMA [ADAPTER NAMES IDS]");
  process.exit(2);
}
const pool = await connect(host, database, schema);

const server = createServer((request, response) => handler(request, response));
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const baseURL = `http://localhost:${server.address().port}`;
const called = named(names, adapter);
const options = {
  baseURL,
  secret,
  database: pool,
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  advanced: { database: ids === "text" ? {} : { generateId: ids } },
  ...called.options,
  plugins: [jwt(called.jwt), admin(called.admin), organization(called.organization)],
};
if (adapter === "kysely") {
  await migrate(options);
} else {
  const { adapters } = await import("./better_auth_adapters/adapters.mjs");
  options.database = await adapters[adapter](options, pool, names === "plural");
}
const handler = toNodeHandler(betterAuth(options));

const cookies = new Map();
async function call(method, path, body) {
  const response = await fetch(`${baseURL}/api/auth${path}`, {
    method,
    body: body && JSON.stringify(body),
    headers: {
      origin: baseURL,
      "content-type": "application/json",
      cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; "),
    },
  });
  for (const cookie of response.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
    if (value) cookies.set(name, value);
    else cookies.delete(name);
  }
  return { status: response.status, body: await response.json() };
}
const password = "correct horse battery staple";
const signedIn = ({ status, body }) => ({
  status,
  user_id: body.user?.id,
  cookie: cookies.get("better-auth.session_token"),
  session_token: body.token,
});
const commands = {
  "sign-up": async (email) => signedIn(await call("POST", "/sign-up/email", { email, password, name: "Ada" })),
  "sign-in": async (email) => signedIn(await call("POST", "/sign-in/email", { email, password })),
  "sign-out": () => call("POST", "/sign-out", {}),
  token: async () => (await call("GET", "/token")).body,
  post: (path, body) => call("POST", path, body),
  cookie: () => ({ cookie: cookies.get("better-auth.session_token") }),
};

console.log(JSON.stringify({ base_url: baseURL, secret }));
for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...parameters] = JSON.parse(line);
  console.log(JSON.stringify(await commands[name](...parameters)));
}
server.closeAllConnections();
server.close();
await pool.end();
