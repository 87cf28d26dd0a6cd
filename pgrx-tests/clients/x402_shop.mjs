// A paid endpoint as in InsForge's guide, with this extension's functions on the server, a facilitator (facilitator.mjs)
// and a buyer with viem as wallet.
// usage: node x402_shop.mjs PGHOST_SOCKET_DIR DATABASE
// Answers lines of JSON:
//   {behaviour, shape}    how the facilitator behaves from now on: {}
//   {buy: key}            the buyer pays for a request with this key: {status, body, header, nonce}
//   {replay: header, key} sends a header again: {status, body}
//   {land: true}          the payment that timed out lands: {}
//   {landed: nonce}       the transaction that used the nonce: {hash}
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import pg from "pg";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { facilitator } from "./facilitator.mjs";
import { hybridPayment } from "./hybrid_payment.mjs";

const [host, database] = process.argv.slice(2);
const pool = new pg.Pool({ host, database, user: "project_admin" });
const settlements = await facilitator();
const payTo = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

async function row(statement, ...values) {
  return (await pool.query(statement, values)).rows[0];
}

async function serve(request, response) {
  const answer = (status, body, headers = {}) => response.writeHead(status, headers).end(JSON.stringify(body));
  const endpoint = `http://${request.headers.host}${request.url}`;
  const { requirements } = await row("SELECT insforge_integrations.x402_payment_requirements($1, '10000', $2) AS requirements", payTo, endpoint);
  const payment = request.headers["payment-signature"];
  if (!payment) {
    const { header } = await row("SELECT insforge_integrations.x402_payment_required_header($1) AS header", requirements);
    return answer(402, { requirements }, { "payment-required": header });
  }
  let reservation;
  try {
    reservation = await row("SELECT * FROM reserve_x402_payment($1, $2, $3, $4)", payment, requirements, endpoint, request.headers["idempotency-key"]);
  } catch (error) {
    return answer(error.code === "23505" ? 409 : 402, { error: error.message });
  }
  const id = reservation.reservation_id;
  if (reservation.is_new) {
    const { body } = await row("SELECT insforge_integrations.x402_facilitator_request($1, 'okx') AS body", id);
    let said = null;
    try {
      said = await (await fetch(settlements.url, { method: "POST", body: JSON.stringify(body) })).json();
    } catch {
      // A missing answer is entered, too.
    }
    reservation = await row("SELECT * FROM settle_x402_reservation($1, $2)", id, JSON.stringify(said));
  }
  if (reservation.state !== "settled") return answer(402, { state: reservation.state });
  const { is_new } = await row("SELECT is_new FROM mark_x402_delivered($1)", id);
  if (!is_new) return answer(409, { error: "delivered already" });
  const { header } = await row("SELECT insforge_integrations.x402_payment_response_header($1::uuid) AS header", id);
  answer(200, { report: "what was paid for" }, { "payment-response": header });
}
const server = createServer((request, response) =>
  serve(request, response).catch((error) => response.writeHead(500).end(JSON.stringify({ error: String(error) }))));
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const url = `http://127.0.0.1:${server.address().port}/report`;

const account = privateKeyToAccount(generatePrivateKey());

async function send(header, key) {
  const response = await fetch(url, { headers: { "payment-signature": header, ...(key && { "idempotency-key": key }) } });
  return { status: response.status, body: await response.json() };
}

async function buy(key) {
  const { header, nonce } = await hybridPayment(account, (await fetch(url)).headers.get("payment-required"));
  return { ...(await send(header, key)), header, nonce };
}

console.log(JSON.stringify({ payer: account.address }));
for await (const line of createInterface({ input: process.stdin })) {
  const { behaviour, shape, ...asked } = JSON.parse(line);
  let said = {};
  if (behaviour) Object.assign(settlements, { behaviour, shape });
  if (asked.buy) said = await buy(asked.buy);
  if (asked.replay) said = await send(asked.replay, asked.key);
  if (asked.land) settlements.land();
  if (asked.landed) said = { hash: settlements.transaction(asked.landed) ?? null };
  console.log(JSON.stringify(said));
}
process.exit();
