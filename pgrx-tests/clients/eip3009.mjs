// EIP-3009 authorizations of USDG on X Layer, signed as in InsForge's guide.
import { bytesToHex } from "viem";

export const USDG = {
  name: "Global Dollar",
  version: "1",
  chainId: 196,
  verifyingContract: "0x4ae46a509f6b1d9056937ba4500cb143933d2dc8",
};

export const TYPES = {
  TransferWithAuthorization: [
    { name: "from", type: "address" },
    { name: "to", type: "address" },
    { name: "value", type: "uint256" },
    { name: "validAfter", type: "uint256" },
    { name: "validBefore", type: "uint256" },
    { name: "nonce", type: "bytes32" },
  ],
};

// Typed data for `from` to pay `value`, for five minutes.
export function authorization(from, value, to = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C", domain = USDG) {
  const validBefore = BigInt(Math.floor(Date.now() / 1000) + 300);
  const nonce = bytesToHex(crypto.getRandomValues(new Uint8Array(32)));
  return {
    domain,
    types: TYPES,
    primaryType: "TransferWithAuthorization",
    message: { from, to, value, validAfter: 0n, validBefore, nonce },
  };
}
