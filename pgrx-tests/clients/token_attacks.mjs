// Tokens that every verifier must refuse, for every provider.
import { deflateRawSync } from "node:zlib";
import { EncryptJWT, FlattenedSign, UnsecuredJWT } from "jose";
import jsonwebtoken from "jsonwebtoken";
import { base64url, change, newKey, publicJwk, signByHand, signPayload, withJose } from "./signing.mjs";

const HOUR = 3600;
const UUID = "3f0c2b52-6a0e-4d5b-9c8e-0a1b2c3d4e5f";

/**
 * The attacks on one provider, as a list of [case, reason, token]. `claims` and `header` are those
 * of a token it accepts; `subjects` are another user's and one of another provider's form.
 */
export async function attacks({ claims, header, key, now, subjects }) {
  const sign = (claimChanges, headerChanges, signer = key, options) =>
    withJose(change(claims, claimChanges), change(header, headerChanges), signer, options);
  const json = JSON.stringify(claims);
  const headerJson = JSON.stringify({ alg: "RS256", ...header });
  const valid = await sign();
  const [validHeader, , validSignature] = valid.split(".");

  const attacker = newKey(key.kid);
  const attackersJwk = publicJwk(attacker);
  const attackersSpki = attacker.publicKey.export({ format: "der", type: "spki" }).toString("base64");
  const publicPem = key.publicKey.export({ format: "pem", type: "spki" });

  const algorithms = [
    ["alg none", "algorithm_not_allowed", new UnsecuredJWT(claims).encode()],
    ["alg none in mixed case", "algorithm_not_allowed",
      `${base64url(JSON.stringify({ ...header, alg: "nOnE" }))}.${base64url(json)}.`],
    ["HS256 with the public key as the secret", "algorithm_not_allowed",
      jsonwebtoken.sign(claims, publicPem, { algorithm: "HS256", header: { typ: undefined, ...header } })],
    ["PS256 with the RS256 key", ["algorithm_not_allowed", "unknown_key"], await sign({}, { alg: "PS256" })],
    ["RS512 with the RS256 key", ["algorithm_not_allowed", "unknown_key"], await sign({}, { alg: "RS512" })],
  ];

  const signatures = [
    ["signature of another key with the same kid", "bad_signature", await sign({}, {}, attacker)],
    ["no signature", "bad_signature", valid.slice(0, valid.lastIndexOf(".") + 1)],
    ["payload changed after signing", "bad_signature",
      [validHeader, base64url(JSON.stringify({ ...claims, sub: subjects.anotherUser })), validSignature].join(".")],
    ["unknown kid", "unknown_key", await sign({}, { kid: "unknown" })],
    ["unknown kid with a quote", "unknown_key", await sign({}, { kid: "' OR '1' = '1" })],
  ];

  const headers = [
    ["jwk header", await sign({}, { jwk: attackersJwk }, attacker)],
    ["jku header", await sign({}, { jku: "https://attacker.example/jwks.json" }, attacker)],
    ["x5u header", await sign({}, { x5u: "https://attacker.example/chain.pem" }, attacker)],
    ["x5c header", await sign({}, { x5c: [attackersSpki] }, attacker)],
    ["crit header", await sign({}, { crit: ["rule"], rule: true }, key, { crit: { rule: true } })],
    ["b64 false", await sign({}, { b64: false })],
    ["compressed payload", await signPayload(deflateRawSync(json), { ...header, zip: "DEF" }, key)],
    ["token in a token", await signPayload(valid, { ...header, cty: "JWT" }, key)],
    ["duplicate alg in the header", signByHand(claims, headerJson.replace("{", '{"alg":"none",'), key)],
    ["kid that is a number", signByHand(claims, JSON.stringify({ alg: "RS256", ...header, kid: 1 }), key)],
  ];

  const encodings = [
    ["duplicate sub in the payload",
      await signPayload(json.replace("{", `{"sub":${JSON.stringify(subjects.anotherUser)},`), header, key)],
    ["duplicate sub with an escape in its name",
      await signPayload(json.replace("{", `{"s\\u0075b":${JSON.stringify(subjects.anotherUser)},`), header, key)],
    ["padding after the signature", `${valid}==`],
    ["another spelling of the signature's last character", valid.slice(0, -1) + nextCharacter(valid.at(-1))],
    ["line break after the signature", `${valid}\n`],
    ["payload that is a list", await signPayload("[]", header, key)],
    ["payload with a byte order mark", await signPayload(`\ufeff${json}`, header, key)],
    ["payload that is not UTF-8", await signPayload(notUtf8(json), header, key)],
    ["JSON serialization", JSON.stringify(await new FlattenedSign(Buffer.from(json))
      .setProtectedHeader({ alg: "RS256", ...header }).sign(key.privateKey))],
    ["encrypted token", await new EncryptJWT(claims)
      .setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM", kid: key.kid }).encrypt(key.publicKey)],
    ["two parts", valid.slice(0, valid.lastIndexOf("."))],
    ["empty text", ""],
  ];

  const nbf = claims.nbf && now - 2 * HOUR;
  const missing = ["missing_claim", "malformed"];
  const issuer = claims.iss;
  const changedClaims = [
    ["expired", "expired", { iat: now - 2 * HOUR, nbf, exp: now - HOUR }],
    ["exp missing", "missing_claim", { exp: undefined }],
    ["exp as text", missing, { exp: String(now + HOUR) }],
    ["exp null", missing, { exp: null }],
    ["nbf in the future", "not_yet_valid", { nbf: now + HOUR, exp: now + 2 * HOUR }],
    ["nbf as text", missing, { nbf: String(now + HOUR) }],
    ["iat in the future", "issued_in_future", { iat: now + HOUR, exp: now + 2 * HOUR }],
    ["iat as text", missing, { iat: String(now) }],
    ["issuer missing", ["missing_claim", "unknown_issuer"], { iss: undefined }],
    ["issuer in a list", [...missing, "unknown_issuer"], { iss: [issuer] }],
    ["issuer with a slash more or less", "unknown_issuer",
      { iss: issuer.endsWith("/") ? issuer.slice(0, -1) : `${issuer}/` }],
    ["issuer that only begins like the provider's", "unknown_issuer", { iss: `${issuer}.attacker.example` }],
    ["subject missing", ["missing_claim", "subject_rejected"], { sub: undefined }],
    ["subject empty", ["missing_claim", "subject_rejected"], { sub: "" }],
    ["subject a number", [...missing, "subject_rejected"], { sub: 42 }],
    ["subject like an InsForge user's", "subject_rejected", { sub: UUID }],
    ["subject like another provider's", "subject_rejected", { sub: subjects.anotherProviders }],
    ["subject with a line break at its end", "subject_rejected", { sub: `${claims.sub}\n` }],
    ["subject with U+0000", ["subject_rejected", "malformed"], { sub: `${claims.sub}\u0000` }],
    ["subject of a thousand characters", "subject_rejected", { sub: claims.sub.padEnd(1000, "a") }],
    ["longer than 16 KiB", "too_large", { note: "x".repeat(16 * 1024) }],
  ];

  return [
    ...algorithms,
    ...signatures,
    ...[...headers, ...encodings].map(([name, token]) => [name, "malformed", token]),
    ...await Promise.all(changedClaims.map(async ([name, reason, changes]) => [name, reason, await sign(changes)])),
    ["typ of a logout token", "wrong_type", await sign({}, { typ: "logout+jwt" })],
  ];
}

/** The next letter of base64url. In the last place it differs only in unused bits. */
function nextCharacter(character) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return alphabet[alphabet.indexOf(character) + 1];
}

function notUtf8(json) {
  const [before, after] = json.split('"sub":"');
  return Buffer.concat([Buffer.from(`${before}"note":"`), Buffer.from([0xff]), Buffer.from(`","sub":"${after}`)]);
}
