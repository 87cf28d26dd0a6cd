// Microseconds that viem and ethers take to verify one signed EIP-3009 authorization, as JSON.
import { verifyTypedData as verifyWithEthers } from "ethers";
import { privateKeyToAccount, generatePrivateKey } from "viem/accounts";
import { verifyTypedData as verifyWithViem } from "viem";
import { authorization } from "./eip3009.mjs";

const ROUNDS = 9;
const EACH = 200;

const account = privateKeyToAccount(generatePrivateKey());
const signed = [];
for (let i = 0; i < EACH; i++) {
  const typedData = authorization(account.address, BigInt(i));
  signed.push({ ...typedData, signature: await account.signTypedData(typedData) });
}

const libraries = {
  viem: (one) => verifyWithViem({ ...one, address: account.address }),
  ethers: async ({ domain, types, message, signature }) =>
    verifyWithEthers(domain, types, message, signature) === account.address,
};
const times = { viem: [], ethers: [] };
for (let round = 0; round <= ROUNDS; round++) {
  for (const [name, verify] of Object.entries(libraries)) {
    const start = process.hrtime.bigint();
    for (const one of signed) if (!(await verify(one))) throw new Error(`${name} does not verify it`);
    // The first round warms up.
    if (round > 0) times[name].push(Number(process.hrtime.bigint() - start) / 1000 / EACH);
  }
}
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
console.log(JSON.stringify({ viem_us: median(times.viem), ethers_us: median(times.ethers) }));
