// What ethers hashes domains to: a JSON list of domains in the first argument, a JSON list of hashes out.
import { TypedDataEncoder } from "ethers";

console.log(JSON.stringify(JSON.parse(process.argv[2]).map((domain) => TypedDataEncoder.hashDomain(domain))));
