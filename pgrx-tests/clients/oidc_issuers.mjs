// Discovery documents and tokens in the shape of each issuer that docs/oidc.md names. Keys are new in every run.
// usage: node oidc_issuers.mjs NOW    (seconds since 1970)
// Prints {<issuer>: {arguments, document, jwks, tokens: [{case, token, user | reason}]}}.
import { generateKeyPair, exportJWK, SignJWT } from "jose";
import { change } from "./signing.mjs";

const now = Number(process.argv[2]);
const times = { iat: now - 10, exp: now + 290 };
const user = "6f1c2a34-9b7d-4e58-8a21-0c5d7e9f1b23";
const tenant = "11111111-2222-4333-8444-555555555555";
const entraUser = "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ";

// For each issuer: what to give to register_oidc_provider(), its own members of the document, the header and the claims of
// a user's token, and tokens to refuse: [case, reason, changes of the claims].
const issuers = {
  keycloak: {
    issuer: "https://id.example.com/realms/notes",
    arguments: { authorized_parties: ["notes-web"] },
    document: {
      jwks_uri: "https://id.example.com/realms/notes/protocol/openid-connect/certs",
      id_token_signing_alg_values_supported: ["PS384", "EdDSA", "HS256", "ES256", "RS256", "RS512"],
    },
    header: { typ: "JWT" },
    claims: { jti: "onrtac:1", aud: "account", sub: user, typ: "Bearer", azp: "notes-web", sid: "s1", acr: "1",
      realm_access: { roles: ["default-roles-notes"] }, scope: "email profile", email_verified: true },
    refused: [
      ["ID token", "claim_rejected", { typ: "ID", aud: "notes-web" }],
      ["service account", "claim_rejected",
        { preferred_username: "service-account-notes-web", clientHost: "10.0.0.9", clientAddress: "10.0.0.9", client_id: "notes-web" }],
      ["another client's token", "wrong_authorized_party", { azp: "admin-console" }],
    ],
  },
  zitadel: {
    issuer: "https://notes-abc123.zitadel.cloud",
    arguments: { audience: "312454532645128196" },
    document: {
      jwks_uri: "https://notes-abc123.zitadel.cloud/oauth/v2/keys",
      id_token_signing_alg_values_supported: ["EdDSA", "RS256", "ES256", "ES384", "ES512"],
    },
    header: { typ: "at+jwt" },
    claims: { sub: "312454532645128197", aud: ["312454532645128195", "312454532645128196"], client_id: "312454532645128195", jti: "V2_1" },
    refused: [["another project's token", "wrong_audience", { aud: ["412454532645128195", "412454532645128196"] }]],
  },
  logto: {
    issuer: "https://notes.logto.app/oidc",
    arguments: { audience: "https://api.example.com" },
    document: { jwks_uri: "https://notes.logto.app/oidc/jwks", id_token_signing_alg_values_supported: ["ES384"] },
    algorithm: "ES384",
    header: { typ: "at+jwt" },
    claims: { jti: "1", sub: "foo3bar4baz5", scope: "read:notes", client_id: "app1web2app3web4app5x", aud: "https://api.example.com" },
    refused: [
      ["machine token", "subject_rejected", { sub: "m2m1app2m2m3app4m2m5x", client_id: "m2m1app2m2m3app4m2m5x" }],
      ["organization token of no API", "wrong_audience", { aud: "urn:logto:organization:org1" }],
    ],
  },
  cognito: {
    issuer: "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aBcDeFgHi",
    arguments: { authorized_parties: ["1h57kf5cpq17m0eml12EXAMPLE"] },
    document: {
      jwks_uri: "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aBcDeFgHi/.well-known/jwks.json",
      id_token_signing_alg_values_supported: ["RS256"],
    },
    header: {},
    claims: { sub: user, client_id: "1h57kf5cpq17m0eml12EXAMPLE", origin_jti: "o", event_id: "e", token_use: "access",
      scope: "openid", auth_time: times.iat, jti: "j", username: user },
    refused: [
      ["ID token", "wrong_authorized_party",
        { client_id: undefined, aud: "1h57kf5cpq17m0eml12EXAMPLE", token_use: "id", "cognito:username": user }],
      ["another app client's token", "wrong_authorized_party", { client_id: "other" }],
      ["client credentials", "subject_rejected", { sub: "1h57kf5cpq17m0eml12EXAMPLE" }],
    ],
  },
  firebase: {
    issuer: "https://securetoken.google.com/notes-1",
    arguments: { audience: "notes-1" },
    document: {
      jwks_uri: "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
      id_token_signing_alg_values_supported: ["RS256"],
    },
    header: { typ: "JWT" },
    claims: { aud: "notes-1", auth_time: times.iat, user_id: "Xy12Zw34Uv56Ts78Rq90Po12Nm34", sub: "Xy12Zw34Uv56Ts78Rq90Po12Nm34",
      email: "jane@example.com", email_verified: true, firebase: { identities: {}, sign_in_provider: "password" } },
    refused: [
      // All projects of Firebase have the same keys.
      ["another project's token", "unknown_issuer", { iss: "https://securetoken.google.com/other-2", aud: "other-2" }],
      ["another project's audience", "wrong_audience", { aud: "other-2" }],
      ["session cookie", "unknown_issuer", { iss: "https://session.firebase.google.com/notes-1" }],
    ],
  },
  entra: {
    issuer: `https://login.microsoftonline.com/${tenant}/v2.0`,
    arguments: { audience: "66666666-7777-4888-8999-aaaaaaaaaaaa" },
    document: {
      jwks_uri: `https://login.microsoftonline.com/${tenant}/discovery/v2.0/keys`,
      id_token_signing_alg_values_supported: ["RS256"],
    },
    header: { typ: "JWT" },
    claims: { aud: "66666666-7777-4888-8999-aaaaaaaaaaaa", nbf: times.iat, azp: "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff", azpacr: "0",
      oid: user, scp: "access_as_user", sub: entraUser, tid: tenant, ver: "2.0" },
    refused: [
      ["application's token", "claim_rejected", { idtyp: "app", scp: undefined, sub: user }],
      ["another application's token", "wrong_audience", { aud: "00000003-0000-0000-c000-000000000000" }],
      ["another tenant's token", "unknown_issuer", { iss: "https://login.microsoftonline.com/99999999-2222-4333-8444-555555555555/v2.0" }],
    ],
  },
  entra_v1: {
    issuer: `https://sts.windows.net/${tenant}/`,
    arguments: { audience: "api://66666666-7777-4888-8999-aaaaaaaaaaaa" },
    document: {
      jwks_uri: "https://login.microsoftonline.com/common/discovery/keys",
      id_token_signing_alg_values_supported: ["RS256"],
    },
    header: { typ: "JWT", x5t: "x" },
    claims: { aud: "api://66666666-7777-4888-8999-aaaaaaaaaaaa", nbf: times.iat, appid: "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff",
      appidacr: "0", oid: user, scp: "access_as_user", sub: entraUser, tid: tenant, ver: "1.0" },
    refused: [["another tenant's token", "unknown_issuer", { iss: "https://sts.windows.net/99999999-2222-4333-8444-555555555555/" }]],
  },
  supabase: {
    issuer: "https://abcdefghijklmnopqrst.supabase.co/auth/v1",
    arguments: { audience: "authenticated" },
    document: {
      jwks_uri: "https://abcdefghijklmnopqrst.supabase.co/auth/v1/.well-known/jwks.json",
      id_token_signing_alg_values_supported: ["RS256", "HS256", "ES256"],
    },
    algorithm: "ES256",
    header: { typ: "JWT" },
    claims: { aal: "aal1", aud: "authenticated", email: "jane@example.com", phone: "", is_anonymous: false, role: "authenticated",
      session_id: "s", sub: user, app_metadata: { provider: "email" }, user_metadata: {} },
    refused: [["another audience", "wrong_audience", { aud: "anon", role: "anon" }]],
  },
  workos: {
    issuer: "https://api.workos.com/user_management/client_01EXAMPLE",
    arguments: {},
    document: { jwks_uri: "https://api.workos.com/sso/jwks/client_01EXAMPLE" },
    header: {},
    claims: { sub: "user_01HZ7Q2M4N6P8R0S2T4V6W8X0Y", sid: "session_01HZ7Q2M4N6P8R0S2T4V6W8X0Z", jti: "1",
      org_id: "org_01HZ7Q2M4N6P8R0S2T4V6W8X11", role: "member", permissions: ["posts:read"] },
    refused: [["another client's token", "unknown_issuer", { iss: "https://api.workos.com/user_management/client_01OTHER" }]],
  },
};

const result = {};
for (const [name, { issuer, arguments: given, document, algorithm = "RS256", header, claims, refused }] of Object.entries(issuers)) {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const sign = (changes) =>
    new SignJWT(change({ iss: issuer, ...times, ...claims }, changes)).setProtectedHeader({ alg: algorithm, kid: "k1", ...header }).sign(privateKey);
  const tokens = [{ case: "user", token: await sign({}), user: `${name}:${claims.sub}` }];
  for (const [behaviour, reason, changes] of refused) {
    tokens.push({ case: behaviour, token: await sign(changes), reason });
  }
  result[name] = {
    arguments: { issuer, ...given },
    document: { issuer, ...document },
    // Microsoft's and Cognito's keys have no more members than these.
    jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: "k1", use: "sig" }] },
    tokens,
  };
}
console.log(JSON.stringify(result));
