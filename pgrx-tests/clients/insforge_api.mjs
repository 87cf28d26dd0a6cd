// The part of InsForge's API that the guides' code calls. Records and RPC have PostgREST's statements and pre-request;
// functions answer with the user of the InsForge token, verified with npm jsonwebtoken. If the address of a real PostgREST
// is given, that PostgREST serves records and RPC.
import { createServer } from "node:http";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import jsonwebtoken from "jsonwebtoken";
import pg from "pg";

export const anonKey = "anon_key";
const json = { "content-type": "application/json" };

/** Starts the server. `requests` lists [method, path, user or role of the bearer token, whether it has a provider's token]. */
export async function startApi({ host, database, secret, postgrest }) {
  const pool = new pg.Pool({ host, database, user: "postgres", max: 8 });
  const requests = [];

  /** One request in PostgREST's order of statements. */
  async function serve(claims, request, query, values) {
    const client = await pool.connect();
    try {
      await client.query("begin");
      await client.query(
        `select set_config('role', $1, true), set_config('request.jwt.claims', $2, true), set_config('request.method', $3, true),
                set_config('request.headers', $4, true), set_config('request.cookies', '{}', true)`,
        [claims.role, JSON.stringify(claims), request.method, JSON.stringify(request.headers)],
      );
      await client.query("select insforge_integrations.pre_request()");
      const { rows } = await client.query(query, values);
      await client.query("commit");
      return rows;
    } finally {
      client.release(true);
    }
  }

  /** The same request to PostgREST itself. */
  async function forward(request, bearer, body) {
    const path = request.url.replace("/api/database/rpc/", "/rpc/").replace("/api/database/records/", "/");
    const token = request.headers["x-provider-token"];
    const headers = { ...json, ...(bearer !== anonKey && { authorization: `Bearer ${bearer}` }), ...(token && { "x-provider-token": token }) };
    const { method } = request;
    const answer = await fetch(postgrest + path, { method, headers, ...(method !== "GET" && { body: JSON.stringify(body) }) });
    return [answer.status, await answer.text()];
  }

  const server = createServer(async (request, response) => {
    const body = JSON.parse((await text(request)) || "{}");
    const { pathname } = new URL(request.url, "http://localhost");
    try {
      const bearer = request.headers.authorization?.replace("Bearer ", "");
      const claims = bearer === anonKey ? { role: "anon" } : jsonwebtoken.verify(bearer, secret, { audience: "insforge-api" });
      const hasToken = "x-provider-token" in request.headers;
      requests.push([request.method, pathname, claims.sub ?? claims.role, hasToken]);
      let answer;
      if (pathname.startsWith("/functions/")) {
        answer = { user_id: claims.sub ?? null };
      } else if (postgrest) {
        const [status, json_] = await forward(request, bearer, body);
        response.writeHead(status, json).end(json_);
        return;
      } else if (pathname === "/api/database/rpc/exchange_provider_token") {
        const names = Object.keys(body);
        const call = names.map((name, index) => `${pg.escapeIdentifier(name)} := $${index + 1}`).join(", ");
        const [row] = await serve(claims, request, `select exchange_provider_token(${call})`, Object.values(body));
        answer = row.exchange_provider_token;
      } else if (request.method === "POST") {
        await serve(claims, request, "insert into notes (body) values ($1)", [body.body ?? body[0].body]);
        answer = [];
      } else {
        answer = await serve(claims, request, "select user_id, body from notes order by body");
      }
      response.writeHead(request.method === "POST" && !answer.access_token ? 201 : 200, json).end(JSON.stringify(answer));
    } catch (error) {
      const status = /^PT(\d{3})$/.exec(error.code ?? "")?.[1] ?? 500;
      response.writeHead(status, json)
        .end(JSON.stringify({ code: error.code, message: error.message, details: error.detail, hint: error.hint }));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = async () => {
    server.closeAllConnections();
    server.close();
    await pool.end();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, requests, stop };
}
