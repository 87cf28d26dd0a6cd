// A provider's token in the header, with the real @insforge/sdk in front of InsForge's API. Runs the code of
// docs/insforge.md, unchanged.
// usage: node insforge_header.mjs INSFORGE_URL ANON_KEY TOKEN
// Prints the answers to the client of a server and to that of a page.
import { readFileSync, rmSync, writeFileSync } from "node:fs";

const [url, anonKey, token] = process.argv.slice(2);
const page = readFileSync(new URL("../../docs/insforge.md", import.meta.url), "utf8");
const [server, browser] = page.split("```js\n").slice(1).map((rest) => rest.split("```")[0]);
const surroundings = `const INSFORGE_URL = ${JSON.stringify(url)}, INSFORGE_ANON_KEY = ${JSON.stringify(anonKey)};
const getToken = async () => ${JSON.stringify(token)};
`;

async function run(code) {
  const file = new URL(`./insforge-${process.pid}.tmp.mjs?${code.length}`, import.meta.url);
  writeFileSync(file, surroundings + code);
  try {
    return await import(file);
  } finally {
    rmSync(file);
  }
}

const short = ({ data, error, status }) => ({ data, error: error && { code: error.code, details: error.details }, status });
const clients = { server: (await run(server)).insforgeFor(token), browser: (await run(browser)).insforge };
const answers = {};
for (const [name, { database }] of Object.entries(clients)) {
  answers[name] = {
    written: short(await database.from("notes").insert([{ body: name }]).select("user_id, body")),
    read: short(await database.from("notes").select("user_id, body").eq("body", name)),
    who: short(await database.rpc("who")),
  };
}
console.log(JSON.stringify(answers));
