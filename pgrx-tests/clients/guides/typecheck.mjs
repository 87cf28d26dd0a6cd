// Checks the types of the guides' code against the declarations of the real packages. Prints what is wrong, or nothing.
// usage: node guides/typecheck.mjs
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import typescript from "typescript";
import { copyCode, newDirectory } from "./code.mjs";

const directory = newDirectory();
copyCode(directory);
writeFileSync(join(directory, "auth.ts"), `
import { betterAuth } from "better-auth";
import { jwt } from "better-auth/plugins";
export const auth = betterAuth({ plugins: [jwt()] });
`);
const files = typescript.sys.readDirectory(directory, [".ts"]);
const program = typescript.createProgram(files, {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: ["node"],
  typeRoots: [join(directory, "../node_modules/@types")],
  lib: ["lib.es2023.d.ts", "lib.dom.d.ts"],
  target: typescript.ScriptTarget.ES2022,
  module: typescript.ModuleKind.ESNext,
  moduleResolution: typescript.ModuleResolutionKind.Bundler,
});
const host = { getCanonicalFileName: (name) => name, getCurrentDirectory: () => directory, getNewLine: () => "\n" };
process.stdout.write(typescript.formatDiagnostics(typescript.getPreEmitDiagnostics(program), host));
