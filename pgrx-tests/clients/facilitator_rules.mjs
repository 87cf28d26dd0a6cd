// Sends signed transfers to the facilitator of docs/examples/shop. Prints its answers as one JSON object:
// {"what is special about the transfer": [status, errorReason, transaction]}.
import { createHmac } from "node:crypto";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { facilitator } from "../../docs/examples/shop/facilitator.mjs";
import { authorization, USDG } from "./eip3009.mjs";

const seller = { OKX_API_KEY: "key", OKX_SECRET_KEY: "secret", OKX_PASSPHRASE: "passphrase" };
const url = await facilitator(seller);
const payTo = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
const account = privateKeyToAccount(generatePrivateKey());
const { verifyingContract: asset, ...extra } = USDG;

async function ask(authorization, signature, secret = seller.OKX_SECRET_KEY) {
  const texts = Object.fromEntries(Object.entries(authorization).map(([name, value]) => [name, String(value)]));
  const body = JSON.stringify({
    paymentPayload: { payload: { signature, authorization: texts } },
    paymentRequirements: { payTo, amount: "10000", asset, extra },
  });
  const path = "/api/v6/pay/x402/settle";
  const now = new Date().toISOString();
  const sign = createHmac("sha256", secret).update(`${now}POST${path}${body}`).digest("base64");
  const headers = { "OK-ACCESS-KEY": seller.OKX_API_KEY, "OK-ACCESS-SIGN": sign, "OK-ACCESS-TIMESTAMP": now,
    "OK-ACCESS-PASSPHRASE": seller.OKX_PASSPHRASE };
  const answer = await fetch(url + path, { method: "POST", headers, body });
  const data = answer.ok ? (await answer.json()).data : {};
  return [answer.status, data.errorReason ?? null, data.transaction ?? null];
}

/** A transfer with some members changed before it is signed. */
async function signed(changes) {
  const typedData = authorization(account.address, 10000n, payTo);
  Object.assign(typedData.message, changes);
  return [typedData.message, await account.signTypedData(typedData)];
}

const good = await signed({});
const [message, signature] = await signed({});
const now = BigInt(Math.floor(Date.now() / 1000));
console.log(JSON.stringify({
  "nothing": await ask(...good),
  "sent again": await ask(...good),
  "changed after it was signed": await ask({ ...message, to: account.address }, signature),
  "to another recipient": await ask(...await signed({ to: account.address })),
  "of another amount": await ask(...await signed({ value: 9999n })),
  "not valid yet": await ask(...await signed({ validAfter: now + 60n })),
  "not valid any more": await ask(...await signed({ validBefore: now - 60n })),
  "another seller's": await ask(message, signature, "another secret"),
}));
process.exit();
