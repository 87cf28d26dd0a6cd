// Compiles programs against docs/clients/insforge_integrations.d.ts and the declarations of the real packages, by
// tsc --strict --noEmit. A line that ends with "// wrong" must be an error, and no other line may be one. Prints what is
// not so, or nothing.
// usage: node types.mjs
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const directory = mkdtempSync(join(here, "build-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
cpSync(join(here, "types"), directory, { recursive: true });
const declarations = "insforge_integrations.d.ts";
cpSync(join(here, "../../docs/clients", declarations), join(directory, declarations));

const ofSdk = "node_modules/@insforge/sdk/node_modules/@supabase/postgrest-js";
for (const paths of [{}, { "@supabase/postgrest-js": [join(here, ofSdk)] }]) {
  const compilerOptions = {
    strict: true, noEmit: true, skipLibCheck: true, types: [], paths,
    lib: ["es2023", "dom"], target: "es2022", module: "esnext", moduleResolution: "bundler",
  };
  writeFileSync(join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
  const { stdout } = spawnSync(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "-p", directory], { encoding: "utf8", cwd: directory });
  const errors = stdout.split("\n").filter((line) => /^\S.*: error TS/.test(line));
  const places = errors.map((line) => line.replace(/^(.*)\((\d+),.*$/, "$1:$2"));
  const wrong = readdirSync(directory).filter((name) => name.endsWith(".ts")).flatMap((name) =>
    readFileSync(join(directory, name), "utf8").split("\n").flatMap((line, at) => (line.endsWith("// wrong") ? [`${name}:${at + 1}`] : [])));
  errors.filter((_, at) => !wrong.includes(places[at])).forEach((line) => console.log(line));
  wrong.filter((place) => !places.includes(place)).forEach((place) => console.log(`${place}: compiles`));
  if (wrong.length === 0) console.log("no line is wrong");
}
