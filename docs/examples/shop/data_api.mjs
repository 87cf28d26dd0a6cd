// A stand-in for InsForge's data API. It has only what the shop needs: POST /api/database/rpc/<function> with an admin key
// calls a function as role project_admin.
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import pg from "pg";

const STATUS = { 23505: 409, 28000: 403, 42501: 403, 55000: 500, 40001: 500 }; // PostgREST's, of each SQLSTATE

export async function dataApi(apiKey) {
  const pool = new pg.Pool({ user: "project_admin" });

  // As PostgREST does, the database reads the arguments from the JSON text, and JavaScript rounds no number.
  async function rpc(name, body) {
    const { rows } = await pool.query(
      `SELECT a.name, a.type::regtype::text FROM pg_proc p, unnest(p.proargnames, p.proargtypes::oid[]) a(name, type)
       WHERE p.proname = $1 AND p.pronamespace = 'public'::regnamespace AND a.type IS NOT NULL`, [name]);
    const given = rows.filter((argument) => argument.name in JSON.parse(body));
    const named = given.map(({ name }) => `${pg.escapeIdentifier(name)} => a.${pg.escapeIdentifier(name)}`);
    const typed = given.map(({ name, type }) => `${pg.escapeIdentifier(name)} ${type}`);
    const call = `SELECT to_json(f)::text AS row
      FROM json_to_record($1) AS a(${typed}), public.${pg.escapeIdentifier(name)}(${named}) f`;
    return (await pool.query(call, [body])).rows[0].row;
  }

  const server = createServer(async (request, response) => {
    const answer = (status, body) => response.writeHead(status, { "content-type": "application/json" }).end(body);
    if (request.headers.authorization !== `Bearer ${apiKey}`) return answer(401, "{}");
    try {
      answer(200, await rpc(request.url.split("/").at(-1), await text(request)));
    } catch ({ code, message, detail: details, hint }) {
      answer(STATUS[code] ?? 400, JSON.stringify({ code, message, details, hint }));
    }
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return `http://127.0.0.1:${server.address().port}`;
}
