// Tokens in the exact shape of each provider: of users, and of everything else that its keys sign. Each has the result
// that a verifier must give. Keys are new in every run.
// usage: node provider_tokens.mjs NOW    (seconds since 1970)
import { change, newKey, publicJwk, withJose, withJsonwebtoken } from "./signing.mjs";
import { attacks } from "./token_attacks.mjs";

const now = Number(process.argv[2]);
if (!Number.isInteger(now) || now <= 0) {
  console.error("usage: node provider_tokens.mjs NOW");
  process.exit(2);
}

const issuedAt = now - 10;
const time = (seconds) => new Date(seconds * 1000).toISOString();

// For each provider:
//   claims, header   of its simplest token of a user
//   accepted         [case, changes of the claims, identity besides sub, changes of the header]
//   refused          [case, reason or reasons, changes of the claims, changes of the header]
// A change to undefined removes a member; `only(...)` replaces all claims. If there are several reasons, any of them is right.

const only = (claims) => (all) =>
  ({ ...Object.fromEntries(Object.keys(all).map((name) => [name, undefined])), ...claims });

function clerk() {
  const party = "https://app.example.com";
  const categories = {
    session: "cl_B7d4PD111AAA",
    template: "cl_B7d4PD222AAA",
    machine: "cl_B7d4PD333AAA",
    any: "cl_I7d4PD111III",
  };
  const claims = {
    azp: party,
    exp: issuedAt + 600,
    fva: [3, -1],
    iat: issuedAt,
    iss: "https://clerk.example.com",
    jti: "0123456789abcdef0123",
    nbf: issuedAt - 10,
    pla: "u:free",
    sid: "sess_2zYxWvUtSrQpOnMlKjIhGfEdCbA",
    sts: "active",
    sub: "user_2aBcDeFgHiJkLmNoPqRsTuVwXyZ",
    v: 2,
  };
  const version1 = { v: undefined, pla: undefined, sts: undefined };
  const template = { sid: undefined, ...version1, fva: undefined };
  const machine = {
    aud: ["mch_2bBbBbBbBbBbBbBbBbBbBbBbBbB"],
    exp: claims.exp,
    iat: issuedAt,
    iss: claims.iss,
    jti: "mt_2cCcCcCcCcCcCcCcCcCcCcCcCcC",
    nbf: claims.nbf,
    scopes: "mch_2bBbBbBbBbBbBbBbBbBbBbBbBbB",
    sub: "mch_2dDdDdDdDdDdDdDdDdDdDdDdDdD",
  };
  const oauth = {
    client_id: "abcdefghijklmnop",
    exp: claims.exp,
    iat: issuedAt,
    iss: claims.iss,
    jti: "oat_2eEeEeEeEeEeEeEeEeEeEeEeEeE",
    nbf: claims.nbf,
    scope: "openid profile",
    sub: claims.sub,
  };
  const organization = {
    id: "org_2fFfFfFfFfFfFfFfFfFfFfFfFfF",
    slg: "acme",
    rol: "admin",
    per: "manage,read",
    fpm: "3,2",
  };
  return {
    registration: {
      function: "register_clerk",
      arguments: { frontend_api: claims.iss, authorized_parties: [party] },
    },
    kid: "ins_2gGgGgGgGgGgGgGgGgGgGgGgGgG",
    header: { cat: categories.session, typ: "JWT" },
    claims,
    anotherUser: "user_2hHhHhHhHhHhHhHhHhHhHhHhHhH",
    accepted: [
      ["version 2"],
      ["version 2 with an organization", { o: organization, fea: "o:dashboard,o:teams", pla: "o:pro" }, {
        org_id: organization.id,
        org_role: "org:admin",
        permissions: ["org:dashboard:manage", "org:dashboard:read", "org:teams:read"],
      }],
      ["version 2, impersonated", { act: { iss: "https://dashboard.clerk.com", sid: "sess_2iI", sub: "user_2jJ" } }],
      ["version 1", version1],
      ["version 1 with an organization", {
        ...version1,
        org_id: organization.id,
        org_permissions: ["org:dashboard:read"],
        org_role: "org:admin",
        org_slug: "acme",
      }, { org_id: organization.id, org_role: "org:admin", permissions: ["org:dashboard:read"] }],
      ["from before tokens had a category", {}, {}, { cat: undefined }],
      ["of an instance that gives all tokens one category", {}, {}, { cat: categories.any }],
      ["header with an unknown member", {}, {}, { oiat: issuedAt }],
    ],
    refused: [
      ["session with a pending task", "claim_rejected", { sts: "pending" }],
      ["another authorized party", "wrong_authorized_party", { azp: "https://evil.example.com" }],
      ["party that only begins like the authorized one", "wrong_authorized_party",
        { azp: `${party}.attacker.example` }],
      ["no authorized party", "wrong_authorized_party", { azp: undefined }],
      ["JWT template", "wrong_type", template, { cat: categories.template }],
      ["JWT template with an audience", "wrong_type", { ...template, aud: "https://api.example.com" },
        { cat: categories.template }],
      ["machine token", "wrong_type", only(machine), { cat: categories.machine }],
      ["machine token of an instance that gives all tokens one category",
        ["subject_rejected", "wrong_authorized_party"], only(machine), { cat: categories.any }],
      ["machine as the subject", "subject_rejected", { sub: machine.sub }],
      ["OAuth access token", "wrong_type", only(oauth), { cat: undefined, typ: "at+jwt" }],
      ["OAuth access token, long type", "wrong_type", only(oauth), { cat: undefined, typ: "application/at+jwt" }],
      ["OAuth type on session claims", "wrong_type", {}, { typ: "at+jwt" }],
      ["handshake", ["missing_claim", "wrong_authorized_party"],
        only({ exp: claims.exp, handshake: ["__session=x; Path=/"], iat: issuedAt, iss: claims.iss })],
      ["another instance's issuer", "unknown_issuer", { iss: "https://foo-bar-12.clerk.accounts.dev" }],
    ],
  };
}

function auth0() {
  const api = "https://api.example.com";
  const issuer = "https://example.eu.auth0.com/";
  const clientId = "abcDEF123456abcDEF123456abcDEF12";
  const claims = {
    iss: issuer,
    sub: "auth0|0123456789abcdef01234567",
    aud: api,
    iat: issuedAt,
    exp: issuedAt + 86400,
    scope: "read:notes",
    azp: clientId,
  };
  const rfc9068 = { azp: undefined, client_id: clientId, jti: "aBcDeFgHiJkLmNoPqRsTuV" };
  const permissions = ["read:notes", "write:notes"];
  return {
    registration: { function: "register_auth0", arguments: { domain: "example.eu.auth0.com", audience: api } },
    kid: "aBcDeFgHiJkLmNoPqRsTu",
    header: { typ: "JWT" },
    claims,
    sign: withJsonwebtoken,
    anotherUser: "auth0|76543210fedcba9876543210",
    anotherProviders: "kp_0123456789abcdef0123456789abcdef",
    accepted: [
      ["audience as text"],
      ["audience in a list with userinfo", { aud: [api, `${issuer}userinfo`], scope: "openid profile read:notes" }],
      ["social user", { sub: "google-oauth2|123456789012345678901" }],
      ["enterprise user with two bars in the id", { sub: "samlp|acme-connection|jane@example.com" }],
      ["permissions", { permissions }, { permissions }],
      ["organization", { org_id: "org_aBcDeFgHiJkLmNoP", org_name: "acme", permissions: [] },
        { org_id: "org_aBcDeFgHiJkLmNoP", permissions: [] }],
      ["RFC 9068 profile", rfc9068, {}, { typ: "at+jwt" }],
    ],
    refused: [
      ["client credentials", ["claim_rejected", "subject_rejected"],
        { sub: `${clientId}@clients`, gty: "client-credentials" }],
      ["client credentials, RFC 9068 profile", ["claim_rejected", "subject_rejected"],
        { ...rfc9068, sub: `${clientId}@clients` }, { typ: "at+jwt" }],
      ["ID token", "wrong_audience",
        { aud: clientId, azp: undefined, email: "jane@example.com", nonce: "n-1", scope: undefined, sid: "s-1" }],
      ["another API's token", "wrong_audience", { aud: "https://other.example.com" }],
      ["audience that only begins like the API's", "wrong_audience", { aud: `${api}/v2` }],
      ["userinfo as the only audience", "wrong_audience", { aud: [`${issuer}userinfo`] }],
      ["no audience", ["missing_claim", "wrong_audience"], { aud: undefined }],
      ["empty list of audiences", ["missing_claim", "wrong_audience"], { aud: [] }],
      ["another tenant's issuer", "unknown_issuer", { iss: "https://other.eu.auth0.com/" }],
      ["custom domain that is not registered", "unknown_issuer", { iss: "https://login.example.com/" }],
    ],
  };
}

function workos() {
  const clientId = "client_01EXAMPLE";
  const api = "https://api.workos.com";
  const claims = {
    iss: `${api}/user_management/${clientId}`,
    sub: "user_01HZ7Q2M4N6P8R0S2T4V6W8X0Y",
    sid: "session_01HZ7Q2M4N6P8R0S2T4V6W8X0Z",
    jti: "01HZ7Q2M4N6P8R0S2T4V6W8X10",
    exp: issuedAt + 300,
    iat: issuedAt,
  };
  const organization = {
    org_id: "org_01HZ7Q2M4N6P8R0S2T4V6W8X11",
    role: "member",
    roles: ["member"],
    permissions: ["posts:read", "posts:write"],
    entitlements: ["audit-logs"],
    feature_flags: [],
  };
  const member = { org_id: organization.org_id, org_role: "member", permissions: organization.permissions };
  return {
    registration: { function: "register_workos", arguments: { client_id: clientId } },
    kid: "sso_oidc_key_pair_01HZ7Q2M4N6P8R0S2T4V6W8X12",
    header: {},
    claims,
    anotherUser: "user_01HZ7Q2M4N6P8R0S2T4V6W8X13",
    accepted: [
      ["issuer of the client"],
      ["issuer of older environments", { iss: api }],
      ["organization", organization, member],
      ["organization, issuer of older environments", { ...organization, iss: api }, member],
      ["template that makes room for the database role",
        { ...organization, role: "authenticated", user_role: "member" }, member],
      ["impersonated", { ...organization, act: { sub: "admin@example.com" } }, member],
    ],
    refused: [
      ["another client's issuer", "unknown_issuer", { iss: `${api}/user_management/client_01OTHER` }],
      ["custom domain that is not registered", "unknown_issuer", { iss: "https://auth.example.com" }],
      ["SSO issuer that is not registered", "unknown_issuer", { iss: `${api}/sso/${clientId}` }],
      ["AuthKit Connect token", "unknown_issuer",
        { iss: "https://example.authkit.app", aud: "https://mcp.example.com", scope: "openid" }],
      ["Connect token of a machine", "unknown_issuer",
        { iss: "https://example.authkit.app", aud: clientId, sid: undefined, sub: "client_01MACHINE" }],
      ["client as the subject", "subject_rejected", { sub: clientId }],
    ],
  };
}

function kinde() {
  const issuer = "https://example.kinde.com";
  const clientId = "0123456789abcdef0123456789abcdef";
  const orgCode = "org_0123456789a";
  const claims = {
    aud: [],
    azp: clientId,
    exp: issuedAt + 86400,
    feature_flags: { theme: { t: "s", v: "pink" } },
    iat: issuedAt,
    iss: issuer,
    jti: "11111111-2222-4333-8444-555555555555",
    org_code: orgCode,
    permissions: ["create:notes"],
    scp: ["openid", "profile"],
    sub: "kp_00112233445566778899aabbccddeeff",
  };
  const machine = {
    aud: ["https://api.example.com"],
    azp: "fedcba9876543210fedcba9876543210",
    exp: claims.exp,
    gty: ["client_credentials"],
    iat: issuedAt,
    iss: issuer,
    jti: claims.jti,
    scope: "read:users",
    scp: ["read:users"],
    v: "2",
  };
  const identity = { org_id: orgCode, permissions: ["create:notes"] };
  const noUser = ["missing_claim", "claim_rejected"];
  return {
    registration: { function: "register_kinde", arguments: { domain: issuer, authorized_parties: [clientId] } },
    kid: "a0:b1:c2:d3:e4:f5:06:17:28:39:4a:5b:6c:7d:8e:9f",
    header: { typ: "JWT" },
    claims,
    sign: withJsonwebtoken,
    anotherUser: "kp_ffeeddccbbaa99887766554433221100",
    accepted: [
      ["empty list of audiences", {}, identity],
      ["audience in a list", { aud: ["https://api.example.com"] }, identity],
      ["no permissions", { permissions: [] }, { ...identity, permissions: [] }],
      ["role added by token customization", { roles: [{ id: "1", key: "editor", name: "Editor" }] },
        { ...identity, org_role: "editor" }],
    ],
    refused: [
      ["another client", "wrong_authorized_party", { azp: machine.azp }],
      ["no client", "wrong_authorized_party", { azp: undefined }],
      ["machine token", [...noUser, "wrong_authorized_party"], only(machine)],
      ["machine token of an organization", [...noUser, "wrong_authorized_party"],
        only({ ...machine, org_code: orgCode })],
      ["machine token of the authorized client", noUser, only({ ...machine, azp: clientId })],
      ["client as the subject", "subject_rejected", { sub: clientId }],
      ["another business's issuer", "unknown_issuer", { iss: "https://other.kinde.com" }],
      ["custom domain that is not registered", "unknown_issuer", { iss: "https://auth.example.com" }],
    ],
  };
}

const stytchProject = "project-test-11111111-1111-4111-8111-111111111111";
const stytchSession = "https://stytch.com/session";

function stytch() {
  const claims = {
    aud: [stytchProject],
    exp: issuedAt + 300,
    [stytchSession]: {
      id: "session-test-22222222-2222-4222-8222-222222222222",
      started_at: time(issuedAt),
      last_accessed_at: time(issuedAt),
      expires_at: time(issuedAt + 86400),
      attributes: { ip_address: "203.0.113.1", user_agent: "Mozilla/5.0" },
      authentication_factors: [{
        type: "magic_link",
        delivery_method: "email",
        email_factor: {
          email_address: "jane@example.com",
          email_id: "email-test-33333333-3333-4333-8333-333333333333",
        },
        last_authenticated_at: time(issuedAt),
      }],
      roles: ["stytch_user"],
    },
    iat: issuedAt,
    iss: `stytch.com/${stytchProject}`,
    nbf: issuedAt,
    sub: "user-test-44444444-4444-4444-8444-444444444444",
  };
  return {
    registration: { function: "register_stytch", arguments: { project_id: stytchProject } },
    kid: "jwk-test-55555555-5555-4555-8555-555555555555",
    keyMembers: { key_ops: ["verify"] },
    header: { typ: "JWT" },
    claims,
    anotherUser: "user-test-66666666-6666-4666-8666-666666666666",
    accepted: [
      ["issuer of the project"],
      ["issuer that is the base URL", { iss: "https://test.stytch.com" }],
      ["custom claims", { theme: "dark", limits: { notes: 10 } }],
    ],
    refused: [
      ...stytchOtherTokens(claims),
      ["member of an organization as the subject", "subject_rejected", { sub: claims.sub.replace("user", "member") }],
    ],
  };
}

function stytchB2b() {
  const consumer = stytch();
  const organizationId = "organization-test-77777777-7777-4777-8777-777777777777";
  const session = { ...consumer.claims[stytchSession], roles: ["stytch_member", "editor"] };
  const claims = {
    ...consumer.claims,
    [stytchSession]: session,
    "https://stytch.com/organization": { organization_id: organizationId, slug: "acme" },
    sub: "member-test-88888888-8888-4888-8888-888888888888",
  };
  const identity = { org_id: organizationId, org_role: "editor" };
  return {
    ...consumer,
    registration: { function: "register_stytch_b2b", arguments: { project_id: stytchProject } },
    kid: "jwk-test-99999999-9999-4999-8999-999999999999",
    claims,
    anotherUser: "member-test-aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
    accepted: [
      ["issuer of the project", {}, identity],
      ["issuer that is the base URL", { iss: "https://test.stytch.com" }, identity],
      ["no role but the implicit one", { [stytchSession]: { ...session, roles: ["stytch_member"] } },
        { ...identity, org_role: "stytch_member" }],
      ["two roles", { [stytchSession]: { ...session, roles: ["stytch_member", "editor", "billing"] } },
        { ...identity, org_role: null }],
      ["custom claims", { theme: "dark" }, identity],
    ],
    refused: [
      ...stytchOtherTokens(claims),
      ["user of a consumer project as the subject", "subject_rejected", { sub: consumer.claims.sub }],
    ],
  };
}

/** Other tokens that a Stytch project's keys sign, besides sessions of users. */
function stytchOtherTokens({ aud, exp, iat, iss, nbf, sub }) {
  const token = { aud, exp, iat, iss, nbf };
  const clientId = "connected-app-test-bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";
  const machineId = "m2m-client-test-cccccccc-cccc-4ccc-8ccc-cccccccccccc";
  const otherProject = "project-test-dddddddd-dddd-4ddd-8ddd-dddddddddddd";
  return [
    ["machine token", ["missing_claim", "subject_rejected"], only({ ...token, scope: "read:notes", sub: machineId })],
    ["connected app's token", "missing_claim", only({ ...token, client_id: clientId, scope: "openid", sub })],
    ["connected app's token from the project's domain", ["missing_claim", "unknown_issuer"],
      only({ ...token, client_id: clientId, iss: "https://example.customers.stytch.dev", scope: "openid", sub })],
    ["another project's audience", "wrong_audience", { aud: [otherProject] }],
    ["another project's audience from the shared issuer", "wrong_audience",
      { aud: [otherProject], iss: "https://test.stytch.com" }],
    ["no audience", ["missing_claim", "wrong_audience"], { aud: undefined }],
    ["empty list of audiences", ["missing_claim", "wrong_audience"], { aud: [] }],
    ["another project's issuer", "unknown_issuer", { iss: `stytch.com/${otherProject}` }],
    ["issuer of live projects", "unknown_issuer", { iss: "https://api.stytch.com" }],
    ["issuer with a scheme before the project's", "unknown_issuer", { iss: `https://${iss}` }],
    ["no typ", "wrong_type", {}, { typ: undefined }],
  ];
}

/** Keycloak, whose tokens have what other issuers' tokens have, and more marks of other tokens. */
function oidc() {
  const issuer = "https://id.example.com/realms/notes";
  const clientId = "notes-web";
  const claims = {
    exp: issuedAt + 300,
    iat: issuedAt,
    jti: "onrtac:11111111-2222-4333-8444-555555555555",
    iss: issuer,
    aud: ["notes-api", "account"],
    sub: "6f1c2a34-9b7d-4e58-8a21-0c5d7e9f1b23",
    typ: "Bearer",
    azp: clientId,
    sid: "22222222-3333-4444-8555-666666666666",
    acr: "1",
    "allowed-origins": ["https://app.example.com"],
    realm_access: { roles: ["offline_access", "default-roles-notes"] },
    resource_access: { account: { roles: ["manage-account", "view-profile"] } },
    scope: "openid email profile",
    email_verified: true,
    preferred_username: "jane",
    email: "jane@example.com",
  };
  return {
    registration: {
      function: "register_oidc_provider",
      arguments: { issuer, audience: "notes-api", authorized_parties: [clientId] },
      document: {
        issuer,
        jwks_uri: `${issuer}/protocol/openid-connect/certs`,
        id_token_signing_alg_values_supported: ["PS384", "EdDSA", "ES384", "HS256", "ES256", "RS256", "HS512"],
      },
    },
    prefix: "oidc:",
    // The prefix makes these subjects the provider's own.
    withoutAttacks: ["subject like an InsForge user's", "subject like another provider's"],
    kid: "FJ86GcF3jTbNLOco4NvZkUCIUmfYCqoqtOQeMfbhNlE",
    header: { typ: "JWT" },
    claims,
    anotherUser: "a0b1c2d3-e4f5-4061-8728-394a5b6c7d8e",
    accepted: [
      ["access token"],
      ["only audience, as text", { aud: "notes-api" }],
      ["user of a federated store", { sub: "f:11111111-2222-4333-8444-555555555555:jane" }],
      ["client in client_id (RFC 9068)", { azp: undefined, client_id: clientId }, {}, { typ: "at+jwt" }],
      ["no typ in the header", {}, {}, { typ: undefined }],
    ],
    refused: [
      ["ID token", "claim_rejected", { typ: "ID", aud: [clientId, "notes-api"] }],
      ["logout token", ["claim_rejected", "wrong_type"],
        { typ: "Logout", events: { "http://schemas.openid.net/event/backchannel-logout": {} } }, { typ: "logout+jwt" }],
      ["logout token without its typ", "claim_rejected",
        { events: { "http://schemas.openid.net/event/backchannel-logout": {} } }],
      ["service account", "claim_rejected",
        { client_id: clientId, clientHost: "10.0.0.9", clientAddress: "10.0.0.9", preferred_username: "service-account-notes-web" }],
      ["client as the subject (RFC 9068)", "subject_rejected", { sub: clientId }],
      ["client as the subject, in client_id", ["subject_rejected", "wrong_authorized_party"],
        { sub: clientId, azp: undefined, client_id: clientId }],
      ["bound to a key (RFC 7800)", "claim_rejected", { cnf: { jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } }],
      ["realm's default audience only", "wrong_audience", { aud: "account" }],
      ["no audience", "wrong_audience", { aud: undefined }],
      ["another client", "wrong_authorized_party", { azp: "admin-console" }],
      ["another client, and ours in client_id", "wrong_authorized_party", { azp: "admin-console", client_id: clientId }],
      ["no client", "wrong_authorized_party", { azp: undefined }],
      ["another realm's issuer", "unknown_issuer", { iss: "https://id.example.com/realms/master" }],
      ["issuer with a slash at its end", "unknown_issuer", { iss: `${issuer}/` }],
    ],
  };
}

const identityOf = (claims, identity, prefix = "") =>
  ({ user_id: prefix + claims.sub, org_id: null, org_role: null, permissions: null, ...identity });

async function tokens(provider) {
  const sign = provider.sign ?? withJose;
  const key = newKey(provider.kid);
  const nextKey = newKey(`${provider.kid}-next`);
  const make = (changes = {}, headerChanges = {}, signer = key) => {
    const claims = change(provider.claims, typeof changes === "function" ? changes(provider.claims) : changes);
    const header = change({ kid: signer.kid, ...provider.header }, headerChanges);
    return sign(claims, header, signer).then((token) => ({ claims, token }));
  };

  const [, changes, identity] = provider.accepted[0];
  const rotated = await make(changes, {}, nextKey);
  const accepted = [
    { case: "signed with the next key", token: rotated.token, accept: true, ...identityOf(rotated.claims, identity, provider.prefix) },
  ];
  for (const [name, changes, identity, headerChanges] of provider.accepted) {
    const { claims, token } = await make(changes, headerChanges);
    accepted.push({ case: name, token, accept: true, ...identityOf(claims, identity, provider.prefix) });
  }
  const refused = [];
  for (const [name, reason, changes, headerChanges] of provider.refused) {
    const { token } = await make(changes, headerChanges);
    refused.push({ case: name, token, accept: false, reason });
  }
  const attempts = await attacks({
    claims: provider.claims,
    header: { kid: key.kid, ...provider.header },
    key,
    now,
    subjects: {
      anotherUser: provider.anotherUser,
      anotherProviders: provider.anotherProviders ?? "auth0|0123456789abcdef01234567",
    },
  });
  const tried = attempts.filter(([name]) => !provider.withoutAttacks?.includes(name));
  refused.push(...tried.map(([name, reason, token]) => ({ case: name, token, accept: false, reason })));

  return {
    registration: provider.registration,
    jwks: { keys: [key, nextKey].map((key) => ({ ...publicJwk(key), ...provider.keyMembers })) },
    tokens: [...accepted, ...refused],
  };
}

const providers = { clerk, auth0, workos, kinde, stytch, stytch_b2b: stytchB2b, oidc };
const result = {};
for (const [name, provider] of Object.entries(providers)) {
  result[name] = await tokens(provider());
}
console.log(JSON.stringify({ providers: result }));
