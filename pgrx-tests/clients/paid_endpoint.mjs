// Runs docs/examples/x402_server.mjs, unchanged but for its offers, with the real @insforge/sdk. Requests to OKX go to
// facilitator.mjs, which checks OKX's headers. Buyers pay with other people's clients.
// usage: node paid_endpoint.mjs PGHOST_SOCKET_DIR DATABASE [POSTGREST_URL SECRET]
// Answers lines of JSON:
//   {open: true, offers, mock, environment}  starts the server with these offers, or its own: its answer without a payment
//                             mock: as docs/payments.md says for tests
//   {behaviour}               how the facilitator behaves from now on: {}
//   {client, key, python}     a buyer pays: {status, body, header, nonce, version, receipts, retry, challenge, request}
//   {replay: [name, value], key}  sends a header again: the same
//   {land: true}              the payment that timed out lands: {}
//   {landed: nonce}           the transaction that used the nonce: {hash}
import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { x402Client } from "@x402/core/client";
import { registerExactEvmScheme } from "@x402/evm/exact/client";
import { wrapFetchWithPayment } from "@x402/fetch";
import { createWalletClient, http } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { baseSepolia } from "viem/chains";
import { wrapFetchWithPayment as wrapFetchWithVersion1 } from "x402-fetch";
import { API_KEY, dataApi } from "./data_api.mjs";
import { facilitator } from "./facilitator.mjs";
import { hybridPayment } from "./hybrid_payment.mjs";

const [host, database, postgrestUrl, secret] = process.argv.slice(2);
const settlements = await facilitator();
const insforge = await dataApi({ host, database, postgrest: postgrestUrl && { url: postgrestUrl, secret } });
const key = generatePrivateKey();
const account = privateKeyToAccount(key);
const okx = { OKX_API_KEY: "key", OKX_SECRET_KEY: "secret", OKX_PASSPHRASE: "passphrase" };
const PAY_TO = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
Object.assign(process.env, okx, { PAY_TO });

// The server's log.
console.error = () => {};

const network = globalThis.fetch;
globalThis.fetch = (input, init) => {
  const url = new URL(input.url ?? input);
  return url.host === "web3.okx.com" ? network(new URL(url.pathname, settlements.url), init) : network(input, init);
};

async function freePort() {
  const socket = createServer();
  await once(socket.listen(0, "127.0.0.1"), "listening");
  const { port } = socket.address();
  await once(socket.close(), "close");
  return port;
}

let shop;
async function open({ offers, mock, environment }) {
  Object.assign(process.env, { INSFORGE_URL: insforge, INSFORGE_API_KEY: API_KEY }, environment);
  let code = readFileSync(new URL("../../docs/examples/x402_server.mjs", import.meta.url), "utf8");
  const replace = (pattern, by) => {
    if (!pattern.test(code)) throw new Error(`the example has no ${pattern}`);
    code = code.replace(pattern, by);
  };
  if (offers) replace(/^const offers = .*$/m, `const offers = ${JSON.stringify(offers)};`);
  if (mock) replace(...mockLine());
  process.env.PORT = await freePort();
  const file = new URL(`./x402_server-${process.pid}-${process.env.PORT}.tmp.mjs`, import.meta.url);
  writeFileSync(file, code);
  await import(file).finally(() => rmSync(file));
  shop = `http://127.0.0.1:${process.env.PORT}/report`;
  const answer = await network(shop);
  return { status: answer.status, header: decoded(answer, "payment-required"), body: await answer.text() };
}

/** The change for tests without money, from the guide. */
function mockLine() {
  const page = readFileSync(new URL("../../docs/payments.md", import.meta.url), "utf8");
  const [, line] = /```js\n(.*mock_x402_settlement.*)\n```/.exec(page);
  return [/const facilitator_response = .*\n.*settle_x402_reservation.*$/m, line.trim()];
}

const decoded = (answer, name) => {
  const value = answer.headers.get(name);
  return value && JSON.parse(Buffer.from(value, "base64").toString());
};

async function viem(fetch, url, init) {
  const { header } = await hybridPayment(account, (await fetch(url, init)).headers.get("payment-required"));
  return fetch(url, { headers: { ...init.headers, "payment-signature": header } });
}

const wallet = createWalletClient({ account, transport: http(), chain: baseSepolia });
const clients = {
  "x402-fetch": (fetch, url, init) => wrapFetchWithVersion1(fetch, wallet)(url, init),
  "@x402/fetch": (fetch, url, init) =>
    wrapFetchWithPayment(fetch, registerExactEvmScheme(new x402Client().setSpendControls(false), { signer: account }))(url, init),
  viem,
};

const receipts = (headers) => ["payment-response", "x-payment-response"].map((name) => {
  const value = headers.get(name);
  return value && JSON.parse(Buffer.from(value, "base64").toString());
});

async function outcome(answer, sent) {
  const { last } = settlements;
  settlements.last = null;
  const payment = sent?.[1].startsWith("ey") && JSON.parse(Buffer.from(sent[1], "base64").toString());
  const body = await answer.text();
  return { status: answer.status, body, header: sent, nonce: payment?.payload?.authorization.nonce, version: payment?.x402Version, receipts: receipts(answer.headers),
    retry: answer.headers.get("retry-after"), challenge: decoded(answer, "payment-required"), request: last && checked(last) };
}

/** The facilitator's request, if its headers are those that OKX asks for. */
function checked({ url, headers, text, body }) {
  const sign = createHmac("sha256", okx.OKX_SECRET_KEY).update(`${headers["ok-access-timestamp"]}POST${url}${text}`).digest("base64");
  const is = headers["ok-access-sign"] === sign && headers["ok-access-key"] === "key" && headers["ok-access-passphrase"] === "passphrase";
  return is && { url, body };
}

async function buy({ client, key: idempotencyKey, python }) {
  const headers = idempotencyKey ? { "idempotency-key": idempotencyKey } : {};
  if (python) {
    const { stdout } = await promisify(execFile)(python, ["paid_endpoint.py", key, shop, JSON.stringify(headers)]);
    const { status, header, headers: answered, body } = JSON.parse(stdout);
    return outcome(new Response(body, { status, headers: answered }), header);
  }
  let sent;
  const recording = (input, init) => {
    const given = new Headers(init?.headers ?? input.headers);
    for (const name of ["payment-signature", "x-payment"]) if (given.has(name)) sent = [name, given.get(name)];
    return network(input, init);
  };
  return outcome(await clients[client](recording, shop, { headers }), sent);
}

async function answer({ open: isOpening, behaviour, client, python, key: idempotencyKey, replay, land, landed, ...setup }) {
  if (isOpening) return open(setup);
  if (behaviour) Object.assign(settlements, { behaviour });
  if (land) settlements.land();
  if (landed) return { hash: settlements.transaction(landed) ?? null };
  if (client || python) return buy({ client, key: idempotencyKey, python });
  if (replay) {
    const headers = { [replay[0]]: replay[1], ...(idempotencyKey && { "idempotency-key": idempotencyKey }) };
    return outcome(await network(shop, { headers }), replay);
  }
  return {};
}

// OKX's two interfaces answer in two shapes.
Object.defineProperty(settlements, "shape", { get: () => (settlements.last.url.includes("/pay/") ? "okx_v2" : "okx_v1") });

console.log(JSON.stringify({ payer: account.address }));
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line)).catch((error) => ({ error: String(error.stack ?? error) }))));
}
process.exit();
