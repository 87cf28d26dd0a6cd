// The code of the guides, docs/clients/*.ts, in a new directory beside node_modules, whose packages it imports.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import typescript from "typescript";

const here = fileURLToPath(new URL(".", import.meta.url));
const guides = fileURLToPath(new URL("../../../docs/clients", import.meta.url));

/** A new directory, which is removed when this program ends. */
export function newDirectory() {
  const directory = mkdtempSync(join(here, "build-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  process.on("SIGTERM", () => process.exit());
  return directory;
}

/** Copies the guides' code, and the directory's own files, into a directory. */
export function copyCode(directory) {
  cpSync(guides, directory, { recursive: true });
}

/** The guides' code as JavaScript for Node.js. Returns the directory. */
export function compiledCode() {
  const directory = newDirectory();
  copyCode(directory);
  for (const name of readdirSync(directory)) {
    const { outputText } = typescript.transpileModule(readFileSync(join(directory, name), "utf8"), {
      compilerOptions: { module: "esnext", target: "es2022" },
    });
    // Bundlers add the ending.
    writeFileSync(join(directory, name.replace(/\.ts$/, ".mjs")), outputText.replace(/from "(\.\/\w+)"/g, 'from "$1.mjs"'));
  }
  return directory;
}
