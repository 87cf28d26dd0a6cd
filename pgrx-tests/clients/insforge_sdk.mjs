// Runs the client code of a guide, unchanged from the Markdown, with the real @insforge/sdk. It serves the needed part of
// InsForge's API: RPC as anon and records as the user, with PostgREST's statements, and tokens verified with npm
// jsonwebtoken. If the address of a real PostgREST is given, that PostgREST serves them.
// usage: node insforge_sdk.mjs PGHOST_SOCKET_DIR DATABASE SECRET TOKEN PAGE.md [POSTGREST_URL]
// Prints {rows, requests: [[method, path, who], …]}.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import jsonwebtoken from "jsonwebtoken";
import pg from "pg";

const [host, database, secret, token, page, postgrest] = process.argv.slice(2);
const anonKey = "anon_key";
const pool = new pg.Pool({ host, database, user: "postgres", max: 2 });
const requests = [];

/** One request in PostgREST's order of statements. */
async function serve(claims, method, query, values) {
  const client = await pool.connect();
  try {
    await client.query("begin");
    await client.query(
      "select set_config('role', $1, true), set_config('request.jwt.claims', $2, true), set_config('request.method', $3, true)",
      [claims.role, JSON.stringify(claims), method],
    );
    const { rows } = await client.query(query, values);
    await client.query("commit");
    return rows;
  } finally {
    client.release(true);
  }
}

/** The same request to PostgREST itself. */
async function forward(method, url, bearer, body) {
  const path = url.replace("/api/database/rpc/", "/rpc/").replace("/api/database/records/", "/");
  const headers = { "content-type": "application/json", ...(bearer !== anonKey && { authorization: `Bearer ${bearer}` }) };
  const answer = await fetch(postgrest + path, { method, headers, ...(method !== "GET" && { body: JSON.stringify(body) }) });
  return [answer.status, await answer.text()];
}

const server = createServer(async (request, response) => {
  const body = JSON.parse((await text(request)) || "{}");
  const { pathname } = new URL(request.url, "http://localhost");
  try {
    const bearer = request.headers.authorization?.replace("Bearer ", "");
    const claims = bearer === anonKey ? { role: "anon" } : jsonwebtoken.verify(bearer, secret, { audience: "insforge-api" });
    requests.push([request.method, pathname, claims.sub ?? claims.role]);
    if (postgrest) {
      const [status, json] = await forward(request.method, request.url, bearer, body);
      response.writeHead(status, { "content-type": "application/json" }).end(json);
      return;
    }
    let answer;
    if (pathname === "/api/database/rpc/exchange_provider_token") {
      const names = Object.keys(body);
      const call = names.map((name, index) => `${pg.escapeIdentifier(name)} := $${index + 1}`).join(", ");
      const [row] = await serve(claims, request.method, `select exchange_provider_token(${call})`, Object.values(body));
      answer = row.exchange_provider_token;
    } else {
      answer = await serve(claims, request.method, "select user_id, body from notes");
    }
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  } catch (error) {
    const status = /^PT(\d{3})$/.exec(error.code ?? "")?.[1] ?? 500;
    response.writeHead(status, { "content-type": "application/json" })
      .end(JSON.stringify({ code: error.code, message: error.message, details: error.detail, hint: error.hint }));
  }
});
server.listen(0, "127.0.0.1");
await once(server, "listening");

const code = readFileSync(page, "utf8").split("```js\n").slice(1).map((rest) => rest.split("```")[0])
  .find((candidate) => candidate.includes("function signIn"));
const file = new URL(`./guide-${process.pid}.tmp.mjs`, import.meta.url);
writeFileSync(file, `
const INSFORGE_URL = "http://127.0.0.1:${server.address().port}", INSFORGE_ANON_KEY = "${anonKey}";
${code.replace(/const (\{ )?token( \})? = [^;]*;/, `const token = ${JSON.stringify(token)};`)}`);
try {
  const { signIn, insforge } = await import(file);
  const outcome = await signIn().then(() => insforge.database.from("notes").select("user_id, body"), (error) => ({ error }));
  console.log(JSON.stringify({ rows: outcome.data, error: outcome.error, requests }));
} finally {
  rmSync(file);
}
process.exit();
