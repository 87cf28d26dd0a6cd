// Keys and signatures for tokens, by the two usual libraries and by hand.
import { generateKeyPairSync, sign as signBytes } from "node:crypto";
import { CompactSign, SignJWT } from "jose";
import jsonwebtoken from "jsonwebtoken";

/** A fresh RSA key pair under a key id. */
export function newKey(kid) {
  return { kid, ...generateKeyPairSync("rsa", { modulusLength: 2048 }) };
}

/** The public half, as providers publish it. */
export const publicJwk = ({ kid, publicKey }) => ({
  kty: "RSA", use: "sig", alg: "RS256", kid, ...publicKey.export({ format: "jwk" }),
});

export const withJose = (claims, header, key, options) =>
  new SignJWT(claims).setProtectedHeader({ alg: "RS256", ...header }).sign(key.privateKey, options);

export const withJsonwebtoken = async (claims, header, key) =>
  jsonwebtoken.sign(claims, key.privateKey, { algorithm: "RS256", header: { typ: undefined, ...header } });

/** For a payload that is not a claims set. */
export const signPayload = (payload, header, key) =>
  new CompactSign(Buffer.from(payload)).setProtectedHeader({ alg: "RS256", ...header }).sign(key.privateKey);

/** For a header that no library writes. */
export function signByHand(claims, headerJson, key) {
  const message = `${base64url(headerJson)}.${base64url(JSON.stringify(claims))}`;
  return `${message}.${base64url(signBytes("sha256", Buffer.from(message), key.privateKey))}`;
}

export const base64url = (content) => Buffer.from(content).toString("base64url");

/** A copy with some members replaced, and those removed that are undefined in `changes`. */
export const change = (members, changes) =>
  Object.fromEntries(Object.entries({ ...members, ...changes }).filter(([, value]) => value !== undefined));
