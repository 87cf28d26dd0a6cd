// A notes page. Users sign in through Better Auth, and policies in the database decide which rows they see.
// PGHOST, PGDATABASE and PGUSER name the database. README.md explains the rest.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { fromNodeHeaders, toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";
import pg from "pg";

const { PORT = "3000" } = process.env;
const address = `http://localhost:${PORT}`;
const read = (name) => readFileSync(new URL(name, import.meta.url), "utf8");

// Better Auth keeps users, passwords and signing keys in a schema of its own.
const owner = new pg.Pool({ options: "-c search_path=better_auth,public" });
await owner.query("CREATE SCHEMA better_auth");
const auth = betterAuth({
  baseURL: address,
  secret: randomBytes(32).toString("base64"), // a server with users keeps one secret
  database: owner,
  emailAndPassword: { enabled: true },
  plugins: [jwt()],
});
await (await getMigrations(auth.options)).runMigrations();
await owner.query(read("schema.sql").replace("http://localhost:3000", address));

// Notes are read and written as role authenticated, which is bound by the policies. Each request verifies the user's token.
const users = new pg.Pool({ user: "authenticated" });
async function asUser(token, statement, parameters) {
  const client = await users.connect();
  try {
    await client.query("BEGIN");
    await client.query("SELECT insforge_integrations.authenticate($1, 'better_auth')", [token]);
    const { rows } = await client.query(statement, parameters);
    await client.query("COMMIT");
    return rows;
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

const authHandler = toNodeHandler(auth);
async function answer(request, response) {
  if (request.url.startsWith("/api/auth/")) return authHandler(request, response);
  const send = (status, body, type = "application/json") =>
    response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(body);
  if (request.url === "/") return send(200, read("notes.html"), "text/html; charset=utf-8");
  if (request.url !== "/notes") return send(404);
  const headers = fromNodeHeaders(request.headers);
  if (!(await auth.api.getSession({ headers }))) return send(401);
  const { token } = await auth.api.getToken({ headers });
  if (request.method === "POST") {
    const { body } = await json(request);
    await asUser(token, "INSERT INTO notes (body) VALUES ($1)", [body]);
  }
  // The statement has no WHERE: the policy leaves out the notes of all others.
  send(200, JSON.stringify(await asUser(token, "SELECT id, user_id, body FROM notes ORDER BY id")));
}
createServer((request, response) => answer(request, response).catch((error) => {
  console.error(error);
  response.writeHead(500).end();
})).listen(PORT, "localhost", () => console.log(`The notes: ${address}`));
