// What every Better Auth of the suites has in common: its secret, and its tables in a schema.
import pg from "pg";
import { getMigrations } from "better-auth/db/migration";

/** One for all runs: it encrypts the private keys that the tables keep. */
export const secret = "a secret for tests, the same in every run";

/** Connections that see a schema first, which is made if it is not there. */
export async function connect(host, database, schema) {
  const name = pg.escapeIdentifier(schema);
  const pool = new pg.Pool({ host, database, user: "postgres", max: 2, options: `-c search_path=${name}` });
  await pool.query(`CREATE SCHEMA IF NOT EXISTS ${name}`);
  return pool;
}

/** Makes the tables that the options ask for. */
export async function migrate(options) {
  const { runMigrations } = await getMigrations(options);
  await runMigrations();
}
