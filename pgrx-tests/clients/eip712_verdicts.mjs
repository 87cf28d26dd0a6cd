// Reads typed data as JSON, one document a line. Answers each with {viem, ethers}: each library's digest, or null for a
// refusal.
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
