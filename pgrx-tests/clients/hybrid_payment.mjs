// A payment as InsForge's guide makes it with viem: version 1, and the names of version 2 for the chain and the header.
import { bytesToHex } from "viem";
import { TYPES } from "./eip3009.mjs";

/** Signs for the first offer in the header PAYMENT-REQUIRED: {header, nonce} of the payment. */
export async function hybridPayment(account, required) {
  const [accept] = JSON.parse(Buffer.from(required, "base64").toString()).accepts;
  const nonce = bytesToHex(crypto.getRandomValues(new Uint8Array(32)));
  const authorization = {
    from: account.address, to: accept.payTo, value: accept.maxAmountRequired, validAfter: "0",
    validBefore: String(Math.floor(Date.now() / 1000) + accept.maxTimeoutSeconds), nonce,
  };
  const signature = await account.signTypedData({
    domain: { ...accept.extra, chainId: 196, verifyingContract: accept.asset },
    types: TYPES, primaryType: "TransferWithAuthorization", message: authorization,
  });
  const payment = { x402Version: 1, scheme: accept.scheme, network: accept.network, payload: { signature, authorization } };
  return { header: Buffer.from(JSON.stringify(payment)).toString("base64"), nonce };
}
