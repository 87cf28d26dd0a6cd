// Prints ethers' hashes of domains as a JSON list. The first argument is a JSON list of domains.
import { TypedDataEncoder } from "ethers";

console.log(JSON.stringify(JSON.parse(process.argv[2]).map((domain) => TypedDataEncoder.hashDomain(domain))));
