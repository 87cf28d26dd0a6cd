// Buyers with real clients. Reads {client, header} as JSON, one a line, where header is the value of PAYMENT-REQUIRED.
// Answers {header, payment, payer}: the client's payment. For {client: "receipt", header} it answers with two clients'
// reading of PAYMENT-RESPONSE. For {client: "facilitator", payment} it answers with the verdict of @x402/evm's
// facilitator on the payment for the offer that it accepts.
import { createInterface } from "node:readline";
import { x402Client } from "@x402/core/client";
import { decodePaymentRequiredHeader, decodePaymentResponseHeader, encodePaymentSignatureHeader } from "@x402/core/http";
import { registerExactEvmScheme } from "@x402/evm/exact/client";
import { ExactEvmScheme } from "@x402/evm/exact/facilitator";
import { UptoEvmScheme as UptoClient } from "@x402/evm/upto/client";
import { UptoEvmScheme } from "@x402/evm/upto/facilitator";
import { bytesToHex, serializeErc6492Signature } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { createPaymentHeader } from "x402/client";
import { decodeXPaymentResponse } from "x402/shared";
import { PaymentRequirementsSchema } from "x402/types";
import { TYPES } from "./eip3009.mjs";

const account = privateKeyToAccount(generatePrivateKey());
const owner = privateKeyToAccount(generatePrivateKey());

const fromBase64 = (header) => JSON.parse(Buffer.from(header, "base64").toString("utf8"));
const toBase64 = (json) => Buffer.from(JSON.stringify(json)).toString("base64");

const clients = {
  // npm x402, the first SDK.
  x402: async (header) => createPaymentHeader(account, 1, PaymentRequirementsSchema.parse(fromBase64(header).accepts[0])),
  // npm @x402/core and @x402/evm, which speak both versions.
  core: async (header) => core(header, account),
  // The same with a smart wallet: its owner's key makes its signatures, of 65 bytes as those of other keys.
  safe: async (header) => core(header, { address: account.address, signTypedData: (data) => owner.signTypedData(data) }),
  // InsForge's guide: only viem, version 1 with a CAIP-2 network.
  viem: async (header) => viem(header, (signature) => signature),
  // The same from a contract wallet that is not deployed yet.
  contract: async (header) => viem(header, (signature) => serializeErc6492Signature({ address: account.address, data: "0x01", signature })),
};

async function core(header, signer) {
  // By default it pays only in the tokens on its own list. USDG on X Layer is not on it.
  const client = registerExactEvmScheme(new x402Client().setSpendControls(false), { signer });
  client.register("eip155:*", new UptoClient(signer));
  return encodePaymentSignatureHeader(await client.createPaymentPayload(decodePaymentRequiredHeader(header)));
}

// The facilitator's own code. Its chain has the token's contract, and every simulation succeeds.
async function verdict({ accepted, ...payment }) {
  const chain = {
    getAddresses: () => (accepted.extra.facilitatorAddress ? [accepted.extra.facilitatorAddress] : []),
    getCode: async ({ address }) => (address.toLowerCase() === accepted.asset.toLowerCase() ? "0x60" : undefined),
    readContract: async () => true,
  };
  const scheme = new { exact: ExactEvmScheme, upto: UptoEvmScheme }[accepted.scheme](chain);
  return scheme.verify({ accepted, ...payment }, accepted);
}

async function viem(header, wrap) {
  const challenge = fromBase64(header);
  const [accept] = challenge.accepts;
  const validBefore = BigInt(Math.floor(Date.now() / 1000) + accept.maxTimeoutSeconds);
  const nonce = bytesToHex(crypto.getRandomValues(new Uint8Array(32)));
  const value = BigInt(accept.maxAmountRequired);
  const signature = await account.signTypedData({
    domain: { ...accept.extra, chainId: 196, verifyingContract: accept.asset },
    types: TYPES,
    primaryType: "TransferWithAuthorization",
    message: { from: account.address, to: accept.payTo, value, validAfter: 0n, validBefore, nonce },
  });
  return toBase64({
    x402Version: challenge.x402Version,
    scheme: accept.scheme,
    network: accept.network,
    payload: {
      signature: wrap(signature),
      authorization: {
        from: account.address,
        to: accept.payTo,
        value: accept.maxAmountRequired,
        validAfter: "0",
        validBefore: validBefore.toString(),
        nonce,
      },
    },
  });
}

const answer = async ({ client, header, payment }) => {
  if (client === "facilitator") return verdict(payment);
  if (client === "receipt") return [decodePaymentResponseHeader(header), decodeXPaymentResponse(header)];
  const sent = await clients[client](header);
  return { header: sent, payment: fromBase64(sent), payer: account.address.toLowerCase() };
};

console.log("{}");
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line)).catch((error) => ({ error: String(error) }))));
}
