//! The real InsForge in front of the extension: the checkout that INSFORGE names, with its packages
//! from npm. Without one, these tests say so and check nothing.

mod backend;
mod header;
mod rotation;
#[path = "../real_postgrest/server.rs"]
#[allow(dead_code, reason = "suite real_postgrest uses the rest")]
mod server;
mod setting_up;

use std::sync::OnceLock;

use insforge_integrations_tests::Database;
use insforge_integrations_tests::provider_tokens::register;
use postgres::Client;

use backend::{Backend, Checkout, Secrets};
use server::{Call, Server};

/// The line of docs/insforge.md in the environment of PostgREST.
const IN_COMPOSE: (&str, &str) = ("PGRST_DB_PRE_REQUEST", "insforge_integrations.pre_request");
const HEADER: &str = "x-provider-token";
const SECRETS: Secrets = Secrets {
    jwt_secret: "the first JWT_SECRET of InsForge, long enough",
    encryption_key: "",
};

/// A running InsForge with the extension, users of Clerk and WorkOS, and a table of theirs.
struct InsForge {
    checkout: Checkout,
    database: Database<'static>,
    postgrest: Server,
    backend: Backend,
}

impl InsForge {
    /// One for all tests that change nothing in it.
    fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<InsForge>> = OnceLock::new();
        let start = || Self::start(&[IN_COMPOSE]);
        SHARED.get_or_init(start).as_ref()
    }

    fn superuser(&self) -> Client {
        self.database.connect().unwrap()
    }

    /// `postgrest`: variables in PostgREST's environment, beyond those of InsForge's compose file.
    fn start(postgrest: &[(&str, &str)]) -> Option<Self> {
        let checkout = Checkout::find()?;
        let database = checkout.database(SECRETS)?;
        let postgrest = checkout.postgrest(&database, SECRETS, postgrest);
        let backend = checkout.backend(&database, &postgrest, SECRETS);
        let mut superuser = database.connect().unwrap();
        superuser
            .batch_execute(
                "CREATE EXTENSION insforge_integrations;
                 CREATE TABLE notes (
                   id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                   user_id text NOT NULL DEFAULT requesting_user_id(), body text NOT NULL);
                 ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
                 CREATE POLICY own_rows ON notes TO authenticated
                   USING (user_id = requesting_user_id()) WITH CHECK (user_id = requesting_user_id());
                 CREATE FUNCTION who() RETURNS json STABLE LANGUAGE sql AS $$
                   SELECT json_build_object('role', current_user, 'user', requesting_user_id(), 'org', requesting_org_id(),
                                            'org_role', requesting_org_role(), 'permissions', requesting_permissions())
                 $$;
                 NOTIFY pgrst, 'reload schema'",
            )
            .unwrap();
        // PostgREST takes notice of the new objects a moment later.
        while postgrest.answer(&Call::get("/rpc/who")).status != 200 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        register(&mut superuser, "clerk");
        register(&mut superuser, "workos");
        Some(Self {
            checkout,
            database,
            postgrest,
            backend,
        })
    }
}
