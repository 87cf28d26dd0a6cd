// Better Auth on Drizzle and on Prisma. Better Auth's CLI generates the schema for the options, and drizzle-kit and
// Prisma's schema engine make the tables. Nothing is downloaded.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { promisify } from "node:util";
import { drizzleAdapter } from "better-auth/adapters/drizzle";
import { prismaAdapter } from "better-auth/adapters/prisma";

const require = createRequire(import.meta.url);
const installed = new URL("node_modules/", import.meta.url);
// The CLI looks into package.json for the version of Prisma.
process.chdir(new URL(".", import.meta.url).pathname);
// The CLI needs it, and Node.js 20 does not have it.
Object.groupBy ??= (list, group) => {
  const groups = {};
  for (const [index, member] of [...list].entries()) (groups[group(member, index)] ??= []).push(member);
  return groups;
};

/** The output of Better Auth's CLI (`auth generate`) in a file with this name. */
async function generated(adapter, options, name) {
  const { generateSchema } = await import("auth/api");
  // In this directory, because the file imports its packages.
  const directory = await mkdtemp(new URL("better-auth-", installed).pathname);
  const file = `${directory}/${name}`;
  const { code } = await generateSchema({ adapter: adapter(options), file, options });
  return { directory, file, code };
}

/** The adapter for `drizzle`, on tables that it makes. */
async function drizzle(options, pool, usePlural) {
  const { drizzle } = await import("drizzle-orm/node-postgres");
  const { generateDrizzleJson, generateMigration } = require("drizzle-kit/api");
  const empty = drizzleAdapter({}, { provider: "pg", usePlural });
  const { directory, file, code } = await generated(empty, options, "schema.mjs");
  await writeFile(file, code);
  const schema = { ...await import(file) };
  await rm(directory, { recursive: true });
  for (const statement of await generateMigration(generateDrizzleJson({}), generateDrizzleJson(schema))) {
    await pool.query(statement);
  }
  return drizzleAdapter(drizzle(pool, { schema }), { provider: "pg", schema, usePlural });
}

/** The adapter for `prisma`, on tables that it makes. */
async function prisma(options, pool, usePlural) {
  const { PrismaPg } = await import("@prisma/adapter-pg");
  const { bindMigrationAwareSqlAdapterFactory } = await import("@prisma/driver-adapter-utils");
  const empty = prismaAdapter({}, { provider: "postgresql", usePlural });
  const { directory, file, code: typescript } = await generated(empty, options, "schema.prisma");
  // The client as JavaScript, which Node.js runs directly.
  const code = typescript.replace(/generator client {[^}]*}/, 'generator client {\n  provider = "prisma-client-js"\n  output = "./client"\n}');
  await writeFile(file, code);
  // What its own download would be put in the place of: `generate` does not need it.
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: "/bin/true", CHECKPOINT_DISABLE: "1" };
  const prismaCli = new URL("prisma/build/index.js", installed).pathname;
  await promisify(execFile)(process.execPath, [prismaCli, "generate", "--schema", file], { env });

  const engine = await import("@prisma/schema-engine-wasm/schema_engine_bg");
  const wasm = await readFile(new URL("@prisma/schema-engine-wasm/schema_engine_bg.wasm", installed));
  const { instance } = await WebAssembly.instantiate(wasm, { "./schema_engine_bg.js": engine });
  engine.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  const { host, database, user, max, options: settings } = pool.options;
  const adapter = new PrismaPg({ host, database, user, max, options: settings });
  const schemaEngine = await engine.SchemaEngine.new({ datamodels: undefined }, () => {}, bindMigrationAwareSqlAdapterFactory(adapter));
  const { stdout } = await schemaEngine.diff({
    from: { tag: "empty" },
    to: { tag: "schemaDatamodel", files: [{ path: file, content: code }] },
    script: true,
    exitCode: null,
    shadowDatabaseUrl: null,
    filters: { externalTables: [], externalEnums: [] },
  });
  await pool.query(stdout);
  const { PrismaClient } = require(`${directory}/client`);
  const client = new PrismaClient({ adapter });
  await client.$queryRaw`SELECT 1`;
  await rm(directory, { recursive: true });
  return prismaAdapter(client, { provider: "postgresql", usePlural });
}

export const adapters = { drizzle, prisma };
