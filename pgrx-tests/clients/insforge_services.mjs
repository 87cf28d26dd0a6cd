// InsForge's storage and realtime as a user of a provider: with the token in the header, and with an exchanged token.
// usage: node insforge_services.mjs INSFORGE_URL ANON_KEY TOKEN
// Prints for each way whether it could upload a file and subscribe to channel "room".
import { createClient } from "@insforge/sdk";

const [baseUrl, anonKey, token] = process.argv.slice(2);
const options = { baseUrl, anonKey, isServerMode: true };

async function use(client, name) {
  const { error } = await client.storage.from("files").upload(`${name}.txt`, new Blob(["text"], { type: "text/plain" }));
  await client.realtime.connect();
  const subscription = await client.realtime.subscribe("room");
  client.realtime.disconnect();
  return { uploaded: error === null, subscribed: subscription.ok };
}

const byHeader = createClient({ ...options, headers: { "X-Provider-Token": token } });
const { data } = await createClient(options).database.rpc("exchange_provider_token", { token });
const byExchange = createClient({ ...options, accessToken: data.access_token });
console.log(JSON.stringify({ header: await use(byHeader, "header"), exchange: await use(byExchange, "exchange") }));
process.exit();
