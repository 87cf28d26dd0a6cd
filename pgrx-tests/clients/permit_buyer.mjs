// A buyer with viem as its wallet that signs permits for Permit2 with a given nonce. Reads {accepted, nonce} as JSON, one
// a line, and answers {payment, payer}. For {call: [owner, nonce]} it answers {data}: viem's call of nonceBitmap().
import { createInterface } from "node:readline";
import { encodeFunctionData, getAddress, parseAbi } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";

const account = privateKeyToAccount(generatePrivateKey());

// As in the specification (specs/schemes/exact/scheme_exact_evm.md, specs/schemes/upto/scheme_upto_evm.md).
const SPENDERS = { exact: "0x402085c248EeA27D92E8b30b2C58ed07f9E20001", upto: "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002" };
const field = (text) => text.split(",").map((member) => { const [type, name] = member.split(" "); return { type, name }; });
const witness = { exact: "address to,uint256 validAfter", upto: "address to,address facilitator,uint256 validAfter" };

async function pay({ accepted, nonce }) {
  const permit = {
    permitted: { token: getAddress(accepted.asset), amount: accepted.amount },
    spender: SPENDERS[accepted.scheme],
    nonce,
    deadline: String(Math.floor(Date.now() / 1000) + accepted.maxTimeoutSeconds),
    witness: {
      to: getAddress(accepted.payTo),
      ...(accepted.scheme === "upto" && { facilitator: accepted.extra.facilitatorAddress }),
      validAfter: "0",
    },
  };
  const signature = await account.signTypedData({
    domain: { name: "Permit2", chainId: Number(accepted.network.slice(7)), verifyingContract: "0x000000000022D473030F116dDEE9F6B43aC78BA3" },
    types: {
      PermitWitnessTransferFrom: field("TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Witness witness"),
      TokenPermissions: field("address token,uint256 amount"),
      Witness: field(witness[accepted.scheme]),
    },
    primaryType: "PermitWitnessTransferFrom",
    message: permit,
  });
  const payload = { signature, permit2Authorization: { from: account.address, ...permit } };
  return { payment: { x402Version: 2, accepted, payload }, payer: account.address.toLowerCase() };
}

function call([owner, nonce]) {
  const abi = parseAbi(["function nonceBitmap(address, uint256) view returns (uint256)"]);
  return { data: encodeFunctionData({ abi, functionName: "nonceBitmap", args: [owner, BigInt(nonce) >> 8n] }) };
}

console.log("{}");
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  console.log(JSON.stringify(asked.call ? call(asked.call) : await pay(asked)));
}
