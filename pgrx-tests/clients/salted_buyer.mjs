// A buyer of version 2 that signs under a given domain. Reads {domain, accepted} as JSON, one a line, and
// answers {payment}.
import { createInterface } from "node:readline";
import { bytesToHex } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { TYPES } from "./eip3009.mjs";

const account = privateKeyToAccount(generatePrivateKey());

console.log("{}");
for await (const line of createInterface({ input: process.stdin })) {
  const { domain, accepted } = JSON.parse(line);
  const authorization = {
    from: account.address,
    to: accepted.payTo,
    value: accepted.amount,
    validAfter: "0",
    validBefore: String(Math.floor(Date.now() / 1000) + 300),
    nonce: bytesToHex(crypto.getRandomValues(new Uint8Array(32))),
  };
  const signature = await account.signTypedData({
    domain,
    types: TYPES,
    primaryType: "TransferWithAuthorization",
    message: authorization,
  });
  console.log(JSON.stringify({ payment: { x402Version: 2, accepted, payload: { signature, authorization } } }));
}
