// Shared by all Better Auth servers of the suites: the secret, and tables in a schema.
import pg from "pg";
import { getMigrations } from "better-auth/db/migration";

/** The same in all runs, because it encrypts the private keys in the tables. */
export const secret = "a secret for tests, the same in every run";

/** Connections with a schema first in the search_path. The schema is created if it is missing. */
export async function connect(host, database, schema) {
  const name = pg.escapeIdentifier(schema);
  const pool = new pg.Pool({ host, database, user: "postgres", max: 2, options: `-c search_path=${name}` });
  await pool.query(`CREATE SCHEMA IF NOT EXISTS ${name}`);
  return pool;
}

/** Makes the tables for the options. */
export async function migrate(options) {
  const { runMigrations } = await getMigrations(options);
  await runMigrations();
}

/** Options that give the tables names: `usePlural` of the adapter does it for drizzle and prisma. */
export function named(names, adapter) {
  if (names === "renamed") {
    return {
      options: {
        user: { modelName: "people", fields: { email: "address", emailVerified: "is_verified" } },
        session: { modelName: "logins", fields: { userId: "person", expiresAt: "valid_until" } },
        account: { modelName: "links", fields: { accountId: "their_id" } },
        verification: { modelName: "proofs" },
      },
      jwt: { schema: { jwks: { modelName: "signing_keys", fields: { publicKey: "public_part" } } } },
      admin: { schema: { user: { fields: { banned: "is_out" } }, session: { fields: { impersonatedBy: "acted_by" } } } },
      organization: {
        schema: {
          session: { fields: { activeOrganizationId: "company" } },
          organization: { modelName: "companies" },
          member: { modelName: "memberships", fields: { userId: "person", organizationId: "company" } },
          invitation: { modelName: "letters" },
        },
      },
    };
  }
  if (names === "plural" && adapter === "kysely") {
    const plural = (model) => ({ modelName: `${model}s` });
    return {
      options: {
        user: plural("user"), session: plural("session"), account: plural("account"), verification: plural("verification"),
      },
      jwt: { schema: { jwks: plural("jwks") } },
      organization: { schema: { organization: plural("organization"), member: plural("member"), invitation: plural("invitation") } },
    };
  }
  return {};
}
