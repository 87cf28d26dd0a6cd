// A buyer with a new wallet. It asks for the report, signs the payment that the shop asks for, and asks again.
// usage: node buyer.mjs [ADDRESS_OF_THE_SHOP]
import { pathToFileURL } from "node:url";
import { ExactEvmScheme } from "@x402/evm";
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";

const account = privateKeyToAccount(generatePrivateKey());
// The buyer pays in USDG on X Layer only, and at most 0.01 for a request.
const limits = { network: "eip155:196", asset: "0x4ae46a509f6b1d9056937ba4500cb143933d2dc8", maxAmountPerPayment: "10000" };
const client = new x402Client()
  .register("eip155:196", new ExactEvmScheme(account))
  .setSpendControls({ allowedAssets: [limits] });

let lastPayment; // the header that was sent

const remembering = (input, init) => {
  const request = new Request(input, init);
  lastPayment = request.headers.get("payment-signature") ?? lastPayment;
  return fetch(request);
};

const outcome = async (answer) => {
  const receipt = answer.headers.get("payment-response");
  return { status: answer.status, body: await answer.text(), receipt: receipt && decodePaymentResponseHeader(receipt) };
};

export const buy = async (shop) => outcome(await wrapFetchWithPayment(remembering, client)(shop));

/** Sends the last payment once more, as a cheat would. */
export const sendAgain = async (shop) => outcome(await fetch(shop, { headers: { "payment-signature": lastPayment } }));

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const shop = process.argv[2] ?? "http://localhost:4021/report";
  console.log(`${account.address} buys`, await buy(shop));
  console.log("the same payment again", await sendAgain(shop));
}
