// The code that all guides share, with the real @insforge/sdk: the token in the header, and the exchange. Prints what was
// seen as one JSON object; the suite says what is right.
// usage: node guides/shared.mjs PGHOST_SOCKET_DIR DATABASE SECRET ADA ADA_AGAIN BEN PROVIDER [POSTGREST_URL]
//   ADA, ADA_AGAIN, BEN   tokens of the provider's users
import { AsyncLocalStorage } from "node:async_hooks";
import { createServer } from "node:http";
import { once } from "node:events";
import { PostgrestClient } from "@supabase/postgrest-js";
import { createClient } from "@insforge/sdk";
import { anonKey, startApi } from "../insforge_api.mjs";
import { compiledCode } from "./code.mjs";

const [host, database, secret, ada, adaAgain, ben, provider, postgrest] = process.argv.slice(2);
const api = await startApi({ host, database, secret, postgrest });
process.env.NEXT_PUBLIC_INSFORGE_URL = api.url;
process.env.NEXT_PUBLIC_INSFORGE_ANON_KEY = anonKey;
const code = compiledCode();
const { fetchWithToken, insforgeFor } = await import(`${code}/insforge.mjs`);
const { exchange, exchangedClient } = await import(`${code}/exchange.mjs`);
const { exchangedSession } = await import(`${code}/exchange_browser.mjs`);

const notes = async (client) => {
  const { data, error, status } = await client.database.from("notes").select("user_id, body").order("body");
  return error ? { status, code: error.code, message: error.message, reason: error.details?.split(":")[0] } : data.map(({ body }) => body);
};
const whoami = async (client) => (await client.functions.invoke("whoami")).data.user_id;
const failure = (promise) => promise.then(() => null, (error) => ({ message: error.message, code: error.code }));
const seen = {};

/** A signed-in user of whom the provider's SDK gives out tokens. */
let token;
const getToken = async () => {
  if (token instanceof Error) throw token;
  return token;
};

// The token in the header.
const one = insforgeFor(getToken);
seen.header = {};
for (const [name, value] of Object.entries({ ada, ben, nobody: null, undefined, refused: "not.a.token" })) {
  token = value;
  seen.header[name] = await notes(one);
}
token = ada;
seen.written = (await one.database.from("notes").insert([{ body: "written by ada" }])).error;
seen.after_writing = await notes(one);
token = new Error("login_required");
const before = api.requests.length;
seen.failed_refresh = await notes(insforgeFor(getToken));
seen.requests_after_failed_refresh = api.requests.length - before;

// The token goes nowhere else.
token = ada;
const strangers = [];
const elsewhere = createServer((request, response) => {
  strangers.push(request.headers["x-provider-token"] ?? null);
  response.writeHead(200, { "content-type": "application/json" }).end("{}");
});
elsewhere.listen(0, "127.0.0.1");
await once(elsewhere, "listening");
const stranger = `http://127.0.0.1:${elsewhere.address().port}/`;
const redirecting = createServer((request, response) => response.writeHead(307, { location: stranger }).end());
redirecting.listen(0, "127.0.0.1");
await once(redirecting, "listening");
const redirect = `http://127.0.0.1:${redirecting.address().port}/`;
await fetchWithToken(`${api.url}/`, getToken)(stranger);
await createClient({ baseUrl: stranger, anonKey, fetch: fetchWithToken(`${api.url}/`, getToken) }).database.from("notes").select();
seen.strangers = [...strangers];
seen.redirect = await failure(fetchWithToken(redirect, getToken)(redirect));
seen.strangers_after_redirect = strangers.length - seen.strangers.length;
await one.functions.invoke("whoami");
seen.functions_request = api.requests.at(-1);
elsewhere.close();
redirecting.close();

// PostgREST without InsForge.
const rest = `${api.url}/api/database/records`;
const postgrestClient = new PostgrestClient(rest, {
  headers: { authorization: `Bearer ${anonKey}` },
  fetch: fetchWithToken(`${rest}/`, getToken),
});
seen.postgrest = await notes({ database: postgrestClient });

// Twenty requests of two users on one server. Every request waits for the others before it reads.
const context = new AsyncLocalStorage();
const tokenOfRequest = async () => context.getStore().token;
async function twentyRequests(prepare) {
  let arrived = 0, open;
  const all = new Promise((ready) => { open = ready; });
  const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => {
    const user = index % 2 ? { name: "ben", token: ben } : { name: "ada", token: ada };
    return context.run(user, async () => {
      const client = await prepare();
      if (++arrived === 20) open();
      await all;
      return [user.name, await notes(client)];
    });
  }));
  return answers.filter(([name, bodies]) => !bodies.length || !bodies.every((body) => body.endsWith(`by ${name}`))).length;
}
const moduleLevel = createClient({ baseUrl: api.url, anonKey, isServerMode: true });
seen.wrong_with_a_client_of_the_module = await twentyRequests(async () => {
  const { access_token } = await exchange(await tokenOfRequest(), provider);
  moduleLevel.setAccessToken(access_token);
  return moduleLevel;
});
seen.wrong_with_the_header = await twentyRequests(async () => insforgeFor(tokenOfRequest));
seen.wrong_with_the_exchange = await twentyRequests(() => exchangedClient(provider, tokenOfRequest));

// The exchange in a page.
const exchanges = () => api.requests.filter(([, path]) => path.endsWith("/exchange_provider_token")).length;
async function counted(task) {
  const before = exchanges();
  const answer = await task();
  return [answer, exchanges() - before];
}
const page = exchangedSession(provider, getToken);
const use = () => counted(async () => whoami(await page.client()));
seen.page = {};
token = null;
seen.page.signed_out = await use();
token = ada;
seen.page.ada = await counted(async () => Promise.all([1, 2, 3].map(async () => whoami(await page.client()))));
seen.page.again = await use();
token = adaAgain;
seen.page.new_token = await use();
const { now } = Date;
Date.now = () => now() + 3600_000;
const [expired, count] = await counted(() => page.client());
Date.now = now;
seen.page.expired = [await whoami(expired), count];
token = ben;
seen.page.other_user = await use();
seen.page.waiting_timers = process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;
const held = await page.client();
page.signOut();
seen.page.after_sign_out = await whoami(held);
token = ada;
const underWay = page.client();
await new Promise(setImmediate);
page.signOut();
seen.page.signed_out_during_exchange = await failure(underWay);
seen.page.then = await whoami(held);
seen.page.signed_in_again = await use();
token = adaAgain;
const overtaken = page.client();
await new Promise(setImmediate);
token = ben;
const [switched, refused] = await Promise.all([page.client(), failure(overtaken)]);
seen.page.switched_during_exchange = [await whoami(switched), refused];
seen.page.still = await use();
token = new Error("login_required");
seen.page.failed_refresh = await failure(page.client());
seen.page.after_failed_refresh = await whoami(held);
token = "not.a.token";
seen.page.refused = await failure(page.client());
seen.page.after_refused = await whoami(held);
token = null;
seen.exchanged_client_of_nobody = await whoami(await exchangedClient(provider, getToken));

await api.stop();
console.log(JSON.stringify(seen));
process.exit();
