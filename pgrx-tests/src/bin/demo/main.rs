//! `make demo`: the main jobs on real input, a screen for each. Each step is checked as it is shown.

mod advisor;
mod payments;
mod stage;

use anyhow::Result;
use insforge_integrations_tests::{Cluster, Fixture};

use stage::{Demo, job, say, user};

fn main() -> Result<()> {
    say("A throwaway Postgres with InsForge's roles starts.");
    let cluster = Cluster::start()?;
    let database = cluster.database(Fixture::InsForge)?;
    let mut demo = Demo {
        client: database.connect()?,
    };
    identity(&mut demo)?;
    tokens(&mut demo)?;
    payments::show(&mut demo)?;
    let guide = cluster.database(Fixture::Guide)?;
    demo.client = guide.connect()?;
    adoption(&mut demo)?;
    let careless = cluster.database(Fixture::Extension)?;
    demo.client = careless.connect()?;
    advisor::show(&mut demo)?;
    drop(demo);
    drop(cluster);
    println!();
    say("Every step did what it says. The server is gone. Next: make psql, make example-shop.");
    Ok(())
}

const NOTES: &str = "SELECT user_id, body FROM notes ORDER BY id";

fn identity(demo: &mut Demo) -> Result<()> {
    let (alice, bob) = (user("user_2alice"), user("auth0|bob"));
    job(1, "Who is asking: each user sees their own rows");
    demo.setup(
        "CREATE EXTENSION insforge_integrations;
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id text NOT NULL DEFAULT requesting_user_id(), body text NOT NULL);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON notes TO authenticated
  USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()))",
    )?;
    demo.request(&alice, "INSERT INTO notes (body) VALUES ('milk'), ('eggs')")?
        .shows(&[])?;
    demo.request(&bob, "INSERT INTO notes (body) VALUES ('a bass guitar')")?
        .shows(&[])?;
    demo.request(&alice, NOTES)?
        .shows(&[&["user_2alice", "milk"], &["user_2alice", "eggs"]])?;
    demo.request(&bob, NOTES)?
        .shows(&[&["auth0|bob", "a bass guitar"]])?;
    demo.request(
        &bob,
        "INSERT INTO notes (user_id, body) VALUES ('user_2alice', 'forged')",
    )?
    .refused_with("42501")?;
    demo.request(&stage::ANONYMOUS, NOTES)?.shows(&[])
}

fn tokens(demo: &mut Demo) -> Result<()> {
    job(
        2,
        "Tokens: a Better Auth session becomes an InsForge token, and the JWT secret stays here",
    );
    demo.setup(
        "SELECT insforge_integrations.set_jwt_secret('the JWT_SECRET of InsForge, 32 bytes or more');
CREATE SCHEMA better_auth;
SELECT insforge_integrations.register_better_auth('https://app.example.com', allow_bare_sessions => true);
CREATE TABLE better_auth.\"user\" (id text PRIMARY KEY, email text, \"emailVerified\" boolean);
CREATE TABLE better_auth.session (token text UNIQUE, \"userId\" text, \"expiresAt\" timestamptz);
INSERT INTO better_auth.\"user\" VALUES ('Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1', 'ada@example.com', true);
INSERT INTO better_auth.session
  VALUES ('a session token', 'Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1', now() + interval '7 days')",
    )?;
    let exchange = "SELECT i.is_valid, i.user_id, i.claims->>'email'
FROM exchange_provider_token('a session token') AS r,
  insforge_integrations.inspect_provider_jwt(r->>'access_token', 'insforge') AS i";
    demo.request(&stage::ANONYMOUS, exchange)?.shows(&[&[
        "t",
        "Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1",
        "ada@example.com",
    ]])?;
    say("after she has signed out:");
    demo.setup("DELETE FROM better_auth.session")?;
    demo.request(&stage::ANONYMOUS, exchange)?
        .refused_with("28000")?;
    Ok(())
}

fn adoption(demo: &mut Demo) -> Result<()> {
    let (alice, bob) = (user("user_2alice"), user("auth0|bob"));
    job(
        4,
        "A database that followed the guides keeps its policies and its payments",
    );
    demo.request(
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
    demo.request(&alice, NOTES)?
        .shows(&[&["user_2alice", "from before"]])?;
    demo.request(&bob, NOTES)?.shows(&[])
}
