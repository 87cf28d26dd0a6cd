// A paid endpoint with Node.js and @insforge/sdk. OKX settles its payments. docs/payments.md explains it.
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { createAdminClient } from "@insforge/sdk";

const { INSFORGE_URL, INSFORGE_API_KEY, OKX_API_KEY, OKX_SECRET_KEY, OKX_PASSPHRASE, PAY_TO, PORT } = process.env;
const { database } = createAdminClient({ baseUrl: INSFORGE_URL, apiKey: INSFORGE_API_KEY });
const resource = "https://api.example.com/report";
const offers = [{ pay_to: PAY_TO, amount: "10000", asset: "USDG", network: "xlayer" }]; // 0.01 USDG

const call = async (name, parameters) => (await database.rpc(name, parameters).single().throwOnError()).data;

async function askFacilitator({ url, body }) {
  const now = new Date().toISOString();
  const signed = `${now}POST${new URL(url).pathname}${body}`;
  const sign = createHmac("sha256", OKX_SECRET_KEY).update(signed).digest("base64");
  const headers = { "content-type": "application/json", "OK-ACCESS-KEY": OKX_API_KEY, "OK-ACCESS-SIGN": sign,
    "OK-ACCESS-TIMESTAMP": now, "OK-ACCESS-PASSPHRASE": OKX_PASSPHRASE };
  return (await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(60_000) })).text();
}

async function sell({ headers }) {
  const payment = headers["payment-signature"] ?? headers["x-payment"];
  if (!payment) return call("x402_challenge", { offers, resource });
  const request = { payment, requirements: offers, endpoint: resource, idempotency_key: headers["idempotency-key"] };
  let paid = await call("reserve_x402_payment", request);
  const { reservation_id, facilitator_request } = paid;
  if (facilitator_request) { // An answer that did not arrive is entered as null.
    const facilitator_response = await askFacilitator(facilitator_request).catch(() => null);
    paid = await call("settle_x402_reservation", { reservation_id, facilitator_response });
  }
  const { state, reason: details, response_headers } = paid;
  if (state !== "settled") throw { code: state === "failed" ? "28000" : state, details, headers: response_headers };
  const body = JSON.stringify({ report: "what was paid for" });
  const { is_new } = await call("mark_x402_delivered", { reservation_id });
  if (!is_new) throw { code: "23505", details: "This payment was used." };
  return { status: 200, headers: { "content-type": "application/json", ...response_headers }, body };
}

async function refuse(error) {
  const status = { 28000: 402, "22P02": 400, 23505: 409 }[error.code] ?? 503;
  if (status === 503) console.error(error);
  if (status !== 402) return { status, headers: status === 503 ? { "retry-after": "30" } : {}, body: error.details };
  const { headers, body } = await call("x402_challenge", { offers, resource, error: error.details });
  return { status, headers: { ...headers, ...error.headers }, body };
}
createServer((request, response) => sell(request).catch(refuse).catch(() => ({ status: 503 }))
  .then(({ status, headers, body }) => response.writeHead(status, headers).end(body))).listen(PORT);
