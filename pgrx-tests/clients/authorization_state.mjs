// The data of a call of authorizationState(payer, nonce) (EIP-3009), as viem encodes it.
import { encodeFunctionData, parseAbi } from "viem";

const [payer, nonce] = process.argv.slice(2);
const abi = parseAbi(["function authorizationState(address authorizer, bytes32 nonce) view returns (bool)"]);
console.log(encodeFunctionData({ abi, functionName: "authorizationState", args: [payer, nonce] }));
