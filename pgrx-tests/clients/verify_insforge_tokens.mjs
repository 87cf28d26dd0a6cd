// Verifies tokens with npm jsonwebtoken, as InsForge's backend does. Prints their claims, or the reason of a refusal.
// usage: node verify_insforge_tokens.mjs SECRET '["token", …]'
import jsonwebtoken from "jsonwebtoken";

const [secret, tokens] = process.argv.slice(2);
const verify = (token) => {
  try {
    const { header, payload } = jsonwebtoken.verify(token, secret, {
      algorithms: ["HS256"], audience: "insforge-api", complete: true,
    });
    return { header, claims: payload };
  } catch (error) {
    return { error: error.message };
  }
};
console.log(JSON.stringify(JSON.parse(tokens).map(verify)));
