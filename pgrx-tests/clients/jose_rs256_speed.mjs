// Microseconds that jose takes to verify an RS256 token with an imported key, as JSON.
import { SignJWT, generateKeyPair, jwtVerify } from "jose";

const WARM_UP = 500;
const ITERATIONS = 2000;

const { privateKey, publicKey } = await generateKeyPair("RS256");
const token = await new SignJWT({ sub: "user_1", iss: "https://issuer.example", aud: "https://api.example.com" })
  .setProtectedHeader({ alg: "RS256", kid: "key", typ: "JWT" })
  .setIssuedAt()
  .setExpirationTime("1h")
  .sign(privateKey);

async function verify(times) {
  for (let i = 0; i < times; i++) await jwtVerify(token, publicKey, { algorithms: ["RS256"] });
}

await verify(WARM_UP);
const start = process.hrtime.bigint();
await verify(ITERATIONS);
const nanoseconds = Number(process.hrtime.bigint() - start);
console.log(JSON.stringify({ jose_rs256_us: Math.round(nanoseconds / ITERATIONS / 100) / 10 }));
