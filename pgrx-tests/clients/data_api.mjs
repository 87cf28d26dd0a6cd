// The part of InsForge's data API that a server with an admin key uses: RPC as project_admin, with PostgREST 12's
// statements. If the address of a real PostgREST is given, that PostgREST serves the calls.
import { createServer } from "node:http";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import jsonwebtoken from "jsonwebtoken";
import pg from "pg";

export const API_KEY = "ik_admin";

// PostgREST's statuses of the SQLSTATEs that the functions raise.
const STATUS = { 23505: 409, 28000: 403, 42501: 403, 55000: 500, 40001: 500 };

/** Serves the API, and returns its address. `postgrest`: {url, secret} of a real one. */
export async function dataApi({ host, database, postgrest }) {
  const pool = new pg.Pool({ host, database, user: "project_admin", max: 8 });

  /** One RPC with PostgREST's statement: of an array it takes the first element. */
  async function rpc(name, body) {
    const { rows: parameters } = await pool.query(
      `select a.name, a.type::regtype::text from pg_proc p, unnest(p.proargnames, p.proargtypes::oid[]) a(name, type)
       where p.proname = $1 and p.pronamespace = 'public'::regnamespace and a.type is not null`, [name]);
    const first = Array.isArray(body) ? body[0] : body;
    const given = parameters.filter((parameter) => parameter.name in first);
    if (given.length !== Object.keys(first).length) throw { code: "PGRST202", status: 404 };
    const client = await pool.connect();
    try {
      await client.query("begin");
      await client.query("select set_config('request.method', 'POST', true), set_config('request.jwt.claims', '{\"role\": \"project_admin\"}', true)");
      const columns = given.map(({ name, type }) => `${pg.escapeIdentifier(name)} ${type}`);
      const named = given.map(({ name }) => `${pg.escapeIdentifier(name)} := (select ${pg.escapeIdentifier(name)} from args limit 1)`);
      const { rows } = await client.query(
        `with payload as (select $1::json as data),
           args as (select * from json_to_recordset(
             (select case when json_typeof(data) = 'array' then data else json_build_array(data) end from payload)) as _(${columns}))
         select to_json(f)::text as row from public.${pg.escapeIdentifier(name)}(${named}) f`, [JSON.stringify(body)]);
      await client.query("commit");
      return rows;
    } catch (error) {
      await client.query("rollback");
      throw error;
    } finally {
      client.release();
    }
  }

  async function forward(request, body) {
    const token = jsonwebtoken.sign({ role: "project_admin" }, postgrest.secret, { expiresIn: 600 });
    const headers = { "content-type": "application/json", accept: request.headers.accept, authorization: `Bearer ${token}` };
    const answer = await fetch(postgrest.url + request.url.replace("/api/database", ""), { method: request.method, headers, body });
    return [answer.status, await answer.text()];
  }

  async function answer(request) {
    if (request.headers.authorization !== `Bearer ${API_KEY}`) return [401, "{}"];
    const body = await text(request);
    if (postgrest) return forward(request, body);
    try {
      const rows = await rpc(request.url.split("/").at(-1), JSON.parse(body));
      const isSingle = request.headers.accept.includes("vnd.pgrst.object");
      return [200, isSingle ? rows[0].row : `[${rows.map(({ row }) => row)}]`];
    } catch (error) {
      const { code, message, detail: details, hint } = error;
      return [error.status ?? STATUS[code] ?? 400, JSON.stringify({ code, message, details, hint })];
    }
  }

  const server = createServer(async (request, response) => {
    const [status, body] = await answer(request).catch((error) => [502, JSON.stringify({ message: String(error) })]);
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return `http://127.0.0.1:${server.address().port}`;
}
