// A new key pair, made by npm jose: {pkcs8: PEM, jwk: the public half}.
// usage: node new_key_pair.mjs ALGORITHM
import { exportJWK, exportPKCS8, generateKeyPair } from "jose";

const alg = process.argv[2];
const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
console.log(JSON.stringify({
  pkcs8: await exportPKCS8(privateKey),
  jwk: { ...(await exportJWK(publicKey)), kid: "k1", alg, use: "sig" },
}));
