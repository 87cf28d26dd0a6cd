// Random typed data with viem's and ethers' results, as JSON lines of
// {typedData, encodeType, domainSeparator, hashStruct, digest, signatures, signer}; typedData is JSON text.
// If both can hash it and disagree, this fails. Only viem can hash types that contain themselves.
// usage: node eip712_cases.mjs SEED COUNT
import { TypedDataEncoder, Wallet } from "ethers";
import { bytesToHex, getAddress, hashStruct, hashTypedData } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { random } from "./random.mjs";

const [seed, count] = process.argv.slice(2).map(Number);
const { below, times, pick } = random(seed);

const bytes = (length) => bytesToHex(Uint8Array.from(times(length, () => below(256))));
const bits = (length) => BigInt("0b" + times(length, () => below(2)).join(""));
const LETTERS = ["a", "Z", "9", " ", "\"", "\\", "/", "\n", "\t", "\u001f", "é", "₮", "中", "😀", "\u202e", "\uffff", "e\u0301"];
const ATOMIC = [
  "address", "bool", "string", "bytes",
  ...times(32, (i) => `bytes${i + 1}`),
  ...times(32, (i) => `uint${8 * (i + 1)}`),
  ...times(32, (i) => `int${8 * (i + 1)}`),
];
const atomic = () => (below(3) ? pick(ATOMIC) : pick(["address", "bool", "string", "bytes", "uint256", "int256", "bytes32"]));
const dimensions = () => times(below(3) ? 0 : 1 + below(3), () => (below(2) ? "[]" : `[${below(3)}]`)).join("");

// An integer at an end of its range, or between.
function integer(width, signed) {
  const limit = 1n << BigInt(signed ? width - 1 : width);
  const least = signed ? -limit : 0n;
  return pick([least, limit - 1n, 0n, 1n, signed ? -1n : 2n, bits(signed ? width - 1 : width)]);
}

// A number stays a number in the JSON text, with any number of digits.
const NUMBER = "\u0000number:";
const written = (value) =>
  pick([value.toString(), NUMBER + value.toString(), NUMBER + value.toString() + ".00", value < 0n ? value.toString() : "0x" + value.toString(16)]);
const toJson = (value) => JSON.stringify(value).replaceAll(/"\\u0000number:(-?\d+(\.0+)?)"/g, "$1");

// A value of a type, for the libraries and for JSON.
function value(type, types, depth) {
  const array = type.match(/^(.*)\[(\d*)\]$/);
  if (array) {
    const length = array[2] === "" ? (depth > 3 ? 0 : below(3)) : Number(array[2]);
    const items = times(length, () => value(array[1], types, depth + 1));
    return [items.map(([own]) => own), items.map(([, json]) => json)];
  }
  if (types[type]) {
    const members = types[type].map((member) => [member.name, value(member.type, types, depth + 1)]);
    const object = (which) => Object.fromEntries(members.map(([name, pair]) => [name, pair[which]]));
    return [object(0), object(1)];
  }
  const number = type.match(/^(u?)int(\d+)$/);
  if (number) {
    const own = integer(Number(number[2]), number[1] === "");
    return [own, written(own)];
  }
  const fixed = type.match(/^bytes(\d+)$/);
  if (fixed) return both(pick([bytes(Number(fixed[1])), "0x" + "00".repeat(Number(fixed[1]))]));
  if (type === "bytes") return both(bytes(below(80)));
  if (type === "bool") return both(below(2) === 1);
  if (type === "address") return both(below(2) ? getAddress(bytes(20)) : bytes(20));
  return both(times(below(12), () => pick(LETTERS)).join(""));
}
const both = (one) => [one, one];

// Structs, each used by an earlier one, because ethers accepts no others. Sometimes one contains a list of itself.
function structs() {
  const names = times(1 + below(5), (i) => pick(["Type", "type", "_", "A", "Zz", "intent", "bytesOf"]) + i);
  const types = {};
  names.forEach((name, index) => {
    types[name] = times(below(6), (i) => ({ name: pick(["to", "from", "x_", "$", "a b", "é", "₮ ", "a,b", "(", "\"", "0"]) + i, type: atomic() + dimensions() }));
    if (index > 0) types[names[below(index)]].push({ name: `struct${index}`, type: name + dimensions() });
  });
  const isRecursive = below(8) === 0;
  if (isRecursive) types[pick(names)].push({ name: "again", type: `${pick(names)}[]` });
  return { primaryType: names[0], types, isRecursive };
}

function domain() {
  const all = {
    name: both(times(below(6), () => pick(LETTERS)).join("")),
    version: both(String(below(5))),
    chainId: ((id) => [id, written(id)])(pick([1n, 196n, 84532n, bits(200)])),
    verifyingContract: value("address", {}, 0),
    salt: value("bytes32", {}, 0),
  };
  const chosen = Object.entries(all).filter(() => below(2));
  const object = (which) => Object.fromEntries(chosen.map(([name, pair]) => [name, pair[which]]));
  return [object(0), object(1)];
}

const DOMAIN_TYPES = { name: "string", version: "string", chainId: "uint256", verifyingContract: "address", salt: "bytes32" };

for (let i = 0; i < count; i++) {
  const { primaryType, types, isRecursive } = structs();
  const [message, messageJson] = value(primaryType, types, 0);
  const [ownDomain, domainJson] = domain();
  const typedData = { domain: ownDomain, types, primaryType, message };
  const privateKey = bytes(32);
  const account = privateKeyToAccount(privateKey);
  const digest = hashTypedData(typedData);
  const signatures = [await account.signTypedData(typedData)];
  let encodeType = null;
  if (!isRecursive) {
    encodeType = TypedDataEncoder.from(types).encodeType(primaryType);
    if (TypedDataEncoder.hash(ownDomain, types, message) !== digest) {
      throw new Error(`viem and ethers differ in case ${i} of seed ${seed}`);
    }
    signatures.push(await new Wallet(privateKey).signTypedData(ownDomain, types, message));
  }
  // With the domain's own type among the types, as in eth_signTypedData_v4, or without.
  const declared = Object.keys(DOMAIN_TYPES).filter((name) => name in ownDomain);
  const withDomain = { EIP712Domain: declared.map((name) => ({ name, type: DOMAIN_TYPES[name] })), ...types };
  console.log(JSON.stringify({
    typedData: toJson({ types: below(2) ? withDomain : types, primaryType, domain: domainJson, message: messageJson }),
    encodeType,
    domainSeparator: TypedDataEncoder.hashDomain(ownDomain),
    hashStruct: hashStruct({ data: message, primaryType, types }),
    digest,
    signatures,
    signer: account.address.toLowerCase(),
  }));
}
