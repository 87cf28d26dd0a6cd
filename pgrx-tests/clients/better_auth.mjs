// A real Better Auth with its jwt plugin, on tables that it makes itself. Signs up a new user and prints the tokens as one
// JSON object.
// usage: node better_auth.mjs PGHOST_SOCKET_DIR DATABASE SCHEMA [ALGORITHM [cookie-cache | private | own-names]]
//   ALGORITHM     EdDSA (default), ES256, ES512, PS256 or RS256; takes effect if there is no key yet
//   cookie-cache  signs the session cookie cache with the same keys and prints it too
//   private       is at an http address inside a private network
//   own-names     the same, with an issuer and audiences of the application's own
import { randomBytes } from "node:crypto";
import { betterAuth } from "better-auth";
import { jwt } from "better-auth/plugins";
import { connect, migrate, secret } from "./better_auth_tables.mjs";

const [host, database, schema, algorithm = "EdDSA", mode] = process.argv.slice(2);
if (!schema || ![undefined, "cookie-cache", "private", "own-names"].includes(mode)) {
  console.error("usage: node better_auth.mjs PGHOST_SOCKET_DIR DATABASE SCHEMA [ALGORITHM [cookie-cache | private | own-names]]");
  process.exit(2);
}

const pool = await connect(host, database, schema);
const cookieCache = mode === "cookie-cache";
const baseURL = ["private", "own-names"].includes(mode) ? "http://auth.internal:3000" : "http://localhost:3000";
const names = mode === "own-names" ? { issuer: "urn:notes:auth", audience: ["https://other.example", "notes"] } : undefined;
const options = {
  baseURL,
  secret,
  database: pool,
  emailAndPassword: { enabled: true },
  session: cookieCache && { cookieCache: { enabled: true, strategy: "jwt" } },
  plugins: [jwt({ jwks: { keyPairConfig: { alg: algorithm } }, sessionCookieCache: cookieCache, jwt: names })],
};

await migrate(options);

const auth = betterAuth(options);
const email = `user-${randomBytes(6).toString("hex")}@example.com`;
const { headers, response } = await auth.api.signUpEmail({
  body: { email, password: "correct horse battery staple", name: "Ada" },
  returnHeaders: true,
});
const cookies = Object.fromEntries(headers.getSetCookie().map((cookie) => {
  const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
  return [name, value];
}));
const sessionCookie = cookies["better-auth.session_token"];
const { token } = await auth.api.getToken({
  headers: new Headers({ cookie: `better-auth.session_token=${sessionCookie}` }),
});
await pool.end();

console.log(JSON.stringify({
  user_id: response.user.id,
  email: response.user.email,
  token,
  session_cookie: sessionCookie,
  session_token: response.token,
  session_cache_token: cookies["better-auth.session_data"],
  base_url: baseURL,
  secret,
}));
