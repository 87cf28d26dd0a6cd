//! `make demo`: the main job on real input, each step checked as it is shown.

mod advisor;
mod ledger;
mod stage;

use anyhow::Result;
use insforge_integrations_tests::request::claims_of;
use insforge_integrations_tests::{Cluster, Fixture};

use stage::{Demo, heading, say};

fn main() -> Result<()> {
    heading("A throwaway Postgres with InsForge's roles");
    let cluster = Cluster::start()?;
    let database = cluster.database(Fixture::InsForge)?;
    let mut demo = Demo {
        client: database.connect()?,
    };
    say("roles anon, authenticated and project_admin; their default privileges; schema auth");

    heading("The extension, and a table with the guides' policies");
    demo.setup("CREATE EXTENSION insforge_integrations")?;
    demo.setup(
        "CREATE TABLE notes (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text NOT NULL DEFAULT requesting_user_id(),
  body    text NOT NULL
);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY notes_select ON notes FOR SELECT TO authenticated
  USING (user_id = requesting_user_id());
CREATE POLICY notes_insert ON notes FOR INSERT TO authenticated
  WITH CHECK (user_id = requesting_user_id())",
    )?;

    let alice = claims_of("user_2alice");
    let bob = claims_of("auth0|bob");
    heading("Alice signed in with Clerk, Bob with Auth0: text ids, no uuid anywhere");
    demo.request(
        "authenticated",
        &alice,
        "INSERT INTO notes (body) VALUES ('milk'), ('eggs') RETURNING user_id, body",
    )?
    .shows(&[&["user_2alice", "milk"], &["user_2alice", "eggs"]])?;
    demo.request(
        "authenticated",
        &bob,
        "INSERT INTO notes (body) VALUES ('a bass guitar') RETURNING user_id, body",
    )?
    .shows(&[&["auth0|bob", "a bass guitar"]])?;

    heading("With the same query, each user sees their own rows");
    let everything = "SELECT user_id, body FROM notes ORDER BY id";
    demo.request("authenticated", &alice, everything)?
        .shows(&[&["user_2alice", "milk"], &["user_2alice", "eggs"]])?;
    demo.request("authenticated", &bob, everything)?
        .shows(&[&["auth0|bob", "a bass guitar"]])?;

    heading("A request without a user sees nothing");
    demo.request("anon", "", everything)?.shows(&[])?;
    demo.request("authenticated", "{}", everything)?
        .shows(&[])?;

    heading("A forged user_id is refused");
    demo.request(
        "authenticated",
        &bob,
        "INSERT INTO notes (user_id, body) VALUES ('user_2alice', 'forged')",
    )?
    .refused_with("42501")?;
    demo.request(
        "authenticated",
        &bob,
        "SELECT count(*) FROM notes WHERE user_id = 'user_2alice'",
    )?
    .shows(&[&["0"]])?;

    heading("Invalid claims");
    demo.request("authenticated", r#"{"sub": ["user_2alice"]}"#, everything)?
        .shows(&[])?;
    demo.request("authenticated", r#"{"sub": "user_2alice""#, everything)?
        .refused_with("22P02")?;

    heading("The organisation, from a Clerk session token");
    let claims = r#"{"sub": "user_2alice", "v": 2, "fea": "o:dashboard,o:teams", "o": {"id": "org_9", "rol": "admin", "per": "manage,read", "fpm": "3,2"}}"#;
    demo.request(
        "authenticated",
        claims,
        "SELECT requesting_org_id(), requesting_org_role(), requesting_permissions()",
    )?
    .shows(&[&[
        "org_9",
        "org:admin",
        "{org:dashboard:manage,org:dashboard:read,org:teams:read}",
    ]])?;

    heading(
        "The JWT secret stays in the database: a Better Auth session is exchanged for an InsForge token",
    );
    demo.setup(
        "SELECT insforge_integrations.set_jwt_secret('the JWT_SECRET of InsForge, 32 bytes or more');
CREATE SCHEMA better_auth;
SELECT insforge_integrations.register_better_auth('https://app.example.com', allow_bare_sessions => true);
CREATE TABLE better_auth.\"user\" (id text PRIMARY KEY, email text, \"emailVerified\" boolean);
CREATE TABLE better_auth.session (token text UNIQUE, \"userId\" text, \"expiresAt\" timestamptz);
INSERT INTO better_auth.\"user\" VALUES ('Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1', 'ada@example.com', true);
INSERT INTO better_auth.session VALUES ('a session token', 'Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1', now() + interval '7 days')",
    )?;
    let exchange = "SELECT i.is_valid, i.user_id, i.claims->>'email' FROM exchange_provider_token('a session token') AS r,
  insforge_integrations.inspect_provider_jwt(r->>'access_token', 'insforge') AS i";
    demo.request("anon", "{}", exchange)?.shows(&[&[
        "t",
        "Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1",
        "ada@example.com",
    ]])?;
    demo.setup("DELETE FROM better_auth.session")?;
    demo.request("anon", "{}", exchange)?
        .refused_with("28000")?;
    demo.request(
        "anon",
        "{}",
        "SELECT insforge_integrations.issue_insforge_token('user_2alice')",
    )?
    .refused_with("42501")?;

    heading("A wallet's signature: the payment of the x402 specification, expired in 2025");
    demo.setup(&format!(
        "CREATE TABLE payment AS SELECT '{X402_PAYMENT}'::text AS header,
  insforge_integrations.x402_payment_requirements('0x209693Bc6afc0C5328bA36FaF03C514EF312287C', '10000',
    'https://api.example.com/report', asset => 'USDC', network => 'base-sepolia') AS requirements"
    ))?;
    demo.run(
        "SELECT is_valid, payer, amount, invalid_reason
FROM payment, insforge_integrations.verify_x402_payment(header, requirements)",
    )?
    .shows(&[&[
        "f",
        "0x857b06519e91e3a54538791bdbb0e22373e36b66",
        "10000",
        "invalid_exact_evm_payload_authorization_valid_before",
    ]])?;
    say("with one more digit in the amount, the signature is the first check that fails:");
    demo.run(
        "SELECT is_valid, invalid_reason
FROM payment, insforge_integrations.verify_x402_payment(replace(header, '\"10000\"', '\"100000\"'), requirements)",
    )?
    .shows(&[&["f", "invalid_exact_evm_payload_signature"]])?;
    say(
        "requirements under a domain that the contract does not have, which no buyer could be settled with:",
    );
    demo.run(
        "SELECT insforge_integrations.x402_payment_required_header(
  jsonb_set(requirements, '{extra,name}', '\"USD Coin\"')) FROM payment",
    )?
    .refused_with("22023")?;

    ledger::show(&mut demo)?;

    heading("A database that followed the guides keeps its policies");
    let guide = cluster.database(Fixture::Guide)?;
    demo.client = guide.connect()?;
    demo.request(
        "authenticated",
        &alice,
        "INSERT INTO notes (body) VALUES ('from before') RETURNING user_id, body",
    )?
    .shows(&[&["user_2alice", "from before"]])?;
    let hint = demo
        .run("CREATE EXTENSION insforge_integrations")?
        .refused_with("42723")?;
    say("the HINT's commands, unchanged:");
    demo.run(&hint)?
        .shows(&[&["requesting_user_id_guide()", "4", "1"]])?;
    demo.request("authenticated", &alice, everything)?
        .shows(&[&["user_2alice", "from before"]])?;
    demo.request("authenticated", &bob, everything)?
        .shows(&[])?;

    let careless = cluster.database(Fixture::Extension)?;
    demo.client = careless.connect()?;
    advisor::show(&mut demo)?;

    drop(demo);
    drop(cluster);
    heading("Every step did what it says. The server is gone.");
    Ok(())
}

/// From specs/x402-specification-v1.md.
const X402_PAYMENT: &str = r#"{"x402Version":1,"scheme":"exact","network":"base-sepolia","payload":{
  "signature":"0x2d6a7588d6acca505cbf0d9a4a227e0c52c6c34008c8e8986a1283259764173608a2ce6496642e377d6da8dbbf5836e9bd15092f9ecab05ded3d6293af148b571c",
  "authorization":{"from":"0x857b06519E91e3A54538791bDbb0E22373e36b66","to":"0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
    "value":"10000","validAfter":"1740672089","validBefore":"1740672154",
    "nonce":"0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480"}}}"#;
