// Signs tokens with npm jose, and prints {jwks: {keys}, tokens: []}.
// usage: node sign_tokens.mjs '[{"alg": "RS256", "kid": "k1", "claims": {…}, "header": {…}, "secret": "…"}, …]'
// Tokens with the same kid are signed with the same new key. A token with a secret is signed with the secret. A token with
// {"like": token} has that token's header and claims, with changes in "claims".
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT } from "jose";

const keys = new Map();
async function keyFor({ alg, kid, secret }) {
  if (secret) return new TextEncoder().encode(secret);
  if (!keys.has(kid)) keys.set(kid, { alg, ...(await generateKeyPair(alg, { extractable: true })) });
  return keys.get(kid).privateKey;
}

const tokens = [];
for (const { like, ...given } of JSON.parse(process.argv[2])) {
  const wanted = like ? { ...decodeProtectedHeader(like), header: decodeProtectedHeader(like), claims: { ...decodeJwt(like), ...given.claims } } : given;
  const header = { alg: wanted.alg, kid: wanted.kid, ...wanted.header };
  tokens.push(await new SignJWT(wanted.claims).setProtectedHeader(header).sign(await keyFor(wanted)));
}
const jwks = { keys: [] };
for (const [kid, { alg, publicKey }] of keys) {
  jwks.keys.push({ ...(await exportJWK(publicKey)), kid, alg, use: "sig" });
}
console.log(JSON.stringify({ jwks, tokens }));
