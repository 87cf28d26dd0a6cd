// Authorizations signed by viem, as JSON lines of {typedData, digest, signature, signer}.
// usage: node eip3009_signed.mjs COUNT
import { hashTypedData } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { authorization } from "./eip3009.mjs";

const account = privateKeyToAccount(generatePrivateKey());
for (let i = 0; i < Number(process.argv[2]); i++) {
  const typedData = authorization(account.address, BigInt(i));
  const line = {
    typedData,
    digest: hashTypedData(typedData),
    signature: await account.signTypedData(typedData),
    signer: account.address,
  };
  console.log(JSON.stringify(line, (_, value) => (typeof value === "bigint" ? value.toString() : value)));
}
