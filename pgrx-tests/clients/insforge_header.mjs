// A provider's token in the header, with the real @insforge/sdk in front of InsForge's API.
// usage: node insforge_header.mjs INSFORGE_URL ANON_KEY TOKEN
// Prints the answers.
import { createClient } from "@insforge/sdk";

const [baseUrl, anonKey, token] = process.argv.slice(2);
const short = ({ data, error, status }) => ({ data, error: error && { code: error.code, details: error.details }, status });

const fixed = createClient({ baseUrl, anonKey, headers: { "X-Provider-Token": token } });
// A new token for each request, as a page needs it.
const fresh = createClient({
  baseUrl,
  anonKey,
  fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, "X-Provider-Token": token } }),
});
const answers = {};
for (const [name, { database }] of Object.entries({ fixed, fresh })) {
  answers[name] = {
    written: short(await database.from("notes").insert([{ body: name }]).select("user_id, body")),
    read: short(await database.from("notes").select("user_id, body").eq("body", name)),
    who: short(await database.rpc("who")),
  };
}
console.log(JSON.stringify(answers));
