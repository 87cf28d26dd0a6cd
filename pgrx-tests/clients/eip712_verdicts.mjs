// What viem and ethers make of typed data: reads it as JSON, one document a line, and answers each with
// {viem, ethers}, a digest or null for a refusal.
import { createInterface } from "node:readline";
import { TypedDataEncoder } from "ethers";
import { hashTypedData } from "viem";

const attempt = (hash) => {
  try {
    return hash();
  } catch {
    return null;
  }
};

console.log("{}");
for await (const line of createInterface({ input: process.stdin })) {
  const { domain, types, primaryType, message } = JSON.parse(line);
  const { EIP712Domain: _, ...own } = types;
  console.log(JSON.stringify({
    viem: attempt(() => hashTypedData({ domain, types, primaryType, message })),
    ethers: attempt(() => TypedDataEncoder.hash(domain, own, message)),
  }));
}
