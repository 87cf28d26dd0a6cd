// A stand-in for OKX's facilitator, with a chain in memory. It settles by the rules of the token's contract (EIP-3009):
// the payer signed this transfer, the time fits, and the nonce is new. Money moves only here: there is none.
import { createHmac, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { verifyTypedData } from "viem";
import { authorizationTypes } from "@x402/evm";

export async function facilitator({ OKX_API_KEY, OKX_SECRET_KEY, OKX_PASSPHRASE }) {
  const used = new Set(); // payer and nonce

  async function settle({ paymentPayload, paymentRequirements: { payTo, amount, asset, extra } }) {
    const { signature, authorization } = paymentPayload.payload;
    const { from: payer, to, value, validAfter, validBefore, nonce } = authorization;
    const refused = (errorReason) => ({ success: false, payer, transaction: "", status: "", errorReason });
    const isSigned = await verifyTypedData({
      address: payer,
      domain: { name: extra.name, version: extra.version, chainId: 196, verifyingContract: asset },
      types: authorizationTypes,
      primaryType: "TransferWithAuthorization",
      message: { ...authorization, value: BigInt(value), validAfter: BigInt(validAfter), validBefore: BigInt(validBefore) },
      signature,
    });
    const now = Date.now() / 1000;
    if (!isSigned) return refused("invalid_exact_evm_payload_signature");
    if (to.toLowerCase() !== payTo.toLowerCase()) return refused("invalid_exact_evm_payload_recipient_mismatch");
    if (value !== amount) return refused("invalid_exact_evm_payload_authorization_value_mismatch");
    if (now <= validAfter) return refused("invalid_exact_evm_payload_authorization_valid_after");
    if (now >= validBefore) return refused("invalid_exact_evm_payload_authorization_valid_before");
    if (used.has(payer + nonce)) return refused("invalid_exact_evm_nonce_already_used");
    used.add(payer + nonce);
    const transaction = `0x${randomBytes(32).toString("hex")}`;
    return { success: true, payer, network: "eip155:196", transaction, status: "success", errorReason: null };
  }

  // OKX wants each request signed with the seller's secret key.
  function isFromSeller({ url, headers }, body) {
    const signed = `${headers["ok-access-timestamp"]}POST${url}${body}`;
    return headers["ok-access-sign"] === createHmac("sha256", OKX_SECRET_KEY).update(signed).digest("base64")
      && headers["ok-access-key"] === OKX_API_KEY && headers["ok-access-passphrase"] === OKX_PASSPHRASE;
  }

  const server = createServer(async (request, response) => {
    const body = await text(request);
    if (!isFromSeller(request, body)) return response.writeHead(401).end();
    response.end(JSON.stringify({ code: 0, msg: "", data: await settle(JSON.parse(body)) }));
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return `http://127.0.0.1:${server.address().port}`;
}
