// The shop: the guide's server for paid requests, unchanged, and a page that shows the ledger.
// PGHOST, PGDATABASE and PGUSER name the database. README.md explains the rest.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import pg from "pg";
import { buy, sendAgain } from "./buyer.mjs";
import { dataApi } from "./data_api.mjs";
import { facilitator } from "./facilitator.mjs";

const { PORT = "4021", PAGE_PORT = "4020" } = process.env;
const read = (name) => readFileSync(new URL(name, import.meta.url), "utf8");

const database = new pg.Client();
await database.connect();
await database.query(read("schema.sql"));

// The guide's server asks OKX. Here its requests go to the stand-in.
const seller = { OKX_API_KEY: "key", OKX_SECRET_KEY: "secret", OKX_PASSPHRASE: "passphrase" };
const okx = await facilitator(seller);
const network = globalThis.fetch;
globalThis.fetch = (input, init) =>
  network(typeof input === "string" ? input.replace(/^https:\/\/web3\.okx\.com(?=\/)/, okx) : input, init);

const INSFORGE_API_KEY = "ik_admin";
const PAY_TO = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
Object.assign(process.env, seller, { INSFORGE_URL: await dataApi(INSFORGE_API_KEY), INSFORGE_API_KEY, PAY_TO, PORT });
await import("../x402_server.mjs");
const shop = `http://localhost:${PORT}/report`;

// The page shows the ledger as it is now, and again after each message from the database.
const pages = new Set();
const ledger = async () => {
  const { rows } = await database.query(
    "SELECT created_at, payer_address, amount::numeric / 1e6 AS usdg, tx_hash FROM x402_payments LIMIT 20");
  return `data: ${JSON.stringify(rows)}\n\n`;
};
database.on("notification", async () => {
  const event = await ledger();
  for (const page of pages) page.write(event);
});
await database.query("LISTEN x402_payments");

createServer(async (request, response) => {
  switch (`${request.method} ${request.url}`) {
    case "GET /":
      return response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(read("ledger.html"));
    case "GET /ledger":
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      pages.add(response);
      response.on("close", () => pages.delete(response));
      return response.write(await ledger());
    case "POST /buy":
      return response.end(JSON.stringify(await buy(shop)));
    case "POST /send-again":
      return response.end(JSON.stringify(await sendAgain(shop)));
    default:
      return response.writeHead(404).end();
  }
}).listen(PAGE_PORT, "localhost", () => {
  console.log(`The shop sells at ${shop}`);
  console.log(`The ledger, live: http://localhost:${PAGE_PORT}`);
});
