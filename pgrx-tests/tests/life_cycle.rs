//! CREATE, DROP, dump and restore.

use insforge_integrations_tests::request::claims_of;
use insforge_integrations_tests::{Cluster, Database, Fixture, has_extension, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;

fn empty() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::InsForge).unwrap();
    let client = database.connect().unwrap();
    (database, client)
}

#[test]
fn a_session_survives_drop_and_create() {
    let (_database, mut client) = empty();
    client
        .execute(
            "SELECT set_config('request.jwt.claims', $1, false)",
            &[&claims_of("alice")],
        )
        .unwrap();
    for value in ["verified", "claims", "verified"] {
        client
            .batch_execute("CREATE EXTENSION insforge_integrations")
            .unwrap();
        let answer = |client: &mut Client| -> Option<String> {
            client
                .query_one("SELECT requesting_user_id()", &[])
                .unwrap()
                .get(0)
        };
        assert_eq!(
            answer(&mut client).as_deref(),
            Some("alice"),
            "a new installation has default settings"
        );
        client
            .execute(
                "SELECT insforge_integrations.configure('identity_source', $1)",
                &[&value],
            )
            .unwrap();
        assert_eq!(answer(&mut client).is_some(), value == "claims");
        client
            .batch_execute("DROP EXTENSION insforge_integrations")
            .unwrap();
    }
    let left: i64 = client
        .query_one(
            "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'insforge\\_integrations%'",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(left, 0);
}

#[test]
fn only_a_superuser_can_create_it() {
    let (database, mut client) = empty();
    client
        .batch_execute(&format!(
            "GRANT CREATE ON DATABASE {} TO project_admin",
            database.name()
        ))
        .unwrap();
    let mut admin = database.connect_as("project_admin").unwrap();
    let refused = admin
        .batch_execute("CREATE EXTENSION insforge_integrations")
        .unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
}

/// If another role made a schema with the extension's name, the extension must not take it over.
#[test]
fn a_schema_in_its_place_stops_create_extension() {
    let (_database, mut client) = empty();
    for schema in ["insforge_integrations", "insforge_integrations_internal"] {
        client
            .batch_execute(&format!(
                "CREATE SCHEMA {schema} AUTHORIZATION authenticated"
            ))
            .unwrap();
        let refused = client
            .batch_execute("CREATE EXTENSION insforge_integrations")
            .unwrap_err();
        let error = refused.as_db_error().unwrap();
        assert_eq!(error.code(), &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
        assert!(
            error
                .message()
                .contains(&format!("schema {schema} is not a member")),
            "{error:?}"
        );
        client
            .batch_execute(&format!("DROP SCHEMA {schema}"))
            .unwrap();
    }
}

#[test]
fn dump_and_restore_keep_settings_policies_and_adoption() {
    let database = shared_cluster().database(Fixture::Guide).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "ALTER FUNCTION requesting_user_id() RENAME TO requesting_user_id_guide; DROP TABLE x402_payments;
             CREATE EXTENSION insforge_integrations;
             SELECT insforge_integrations.adopt_requesting_user_id('requesting_user_id_guide()');
             SELECT insforge_integrations.configure('identity_source', 'verified');
             SELECT insforge_integrations.register_auth_provider('partner', '{https://i.example}', 'https://i.example/jwks',
               '{api}', algorithms => '{EdDSA}', subject_prefix => 'partner:');
             SELECT insforge_integrations.set_provider_jwks('partner', '{\"keys\": [{\"kty\": \"OKP\", \"crv\": \"Ed25519\",
               \"x\": \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}');
             SELECT insforge_integrations.set_jwt_secret('a secret that must not be in any dump of it');
             CREATE SCHEMA better_auth;
             SELECT insforge_integrations.register_better_auth('http://localhost:3000', name => 'with_cookies',
               session_secret => 'nor must this one: it must not be in any dump');
             SELECT insforge_integrations.register_x402_network('eip155:8453', 'base', 'https://own.example/{hash}', 'base');
             SELECT insforge_integrations.register_x402_asset('base', '0xb88339cb7199b77e23db6e890353e22632ba630f', 'USDX', 'USDX', '1');
             SELECT record_x402_settlement('0x' || repeat('ab', 32), '0x209693Bc6afc0C5328bA36FaF03C514EF312287C', '/report', '10000');
             SELECT record_x402_settlement('0x' || repeat('ac', 32), '0x209693Bc6afc0C5328bA36FaF03C514EF312287C', '/report', repeat('9', 77), 'base');
             SELECT correct_x402_settlement('0x' || repeat('ab', 32), 'refund', 'asked for it', '1', reference => 'R-1');
             SELECT insforge_integrations.map_x402_payer('0x209693Bc6afc0C5328bA36FaF03C514EF312287C', 'alice');
             SELECT insforge_integrations.publish_x402_payments('authenticated', 'own');
             SELECT insforge_integrations.configure('allow_ledger_drop', 'on');
             INSERT INTO insforge_integrations.x402_reservations (endpoint, scheme, network, asset, nonce_contract, payer_address, pay_to, amount,
               nonce, valid_after, valid_before, is_signature_verified, payment, requirements)
             SELECT '/report', 'exact', 'eip155:196', a, a, a, a, 1, '0x' || repeat('0', 64), now(), 'infinity', true, '{}', '{}'
               FROM (VALUES ('0x' || repeat('1', 40))) AS v (a);
             INSERT INTO notes (user_id, body) VALUES ('alice', 'kept')",
        )
        .unwrap();
    let x402 = |client: &mut Client| -> String {
        client
            .query_one(
                "SELECT jsonb_build_array(
                   (SELECT jsonb_agg(n ORDER BY network) FROM insforge_integrations.x402_networks n),
                   (SELECT jsonb_agg(a ORDER BY network, address) FROM insforge_integrations.x402_assets a),
                   (SELECT jsonb_agg(s ORDER BY tx_hash) FROM insforge_integrations.x402_settlements s),
                   (SELECT jsonb_agg(c) FROM insforge_integrations.x402_corrections c),
                   (SELECT jsonb_agg(r) FROM insforge_integrations.x402_reservations r),
                   (SELECT jsonb_agg(p) FROM insforge_integrations.x402_payers p),
                   (SELECT jsonb_agg(s ORDER BY name) FROM insforge_integrations.settings s WHERE name = 'allow_ledger_drop'),
                   has_table_privilege('authenticated', 'x402_payments', 'SELECT'),
                   has_function_privilege('authenticated', 'x402_receipt(text, uuid)', 'EXECUTE'),
                   has_table_privilege('authenticated', 'x402_revenue', 'SELECT'))::text",
                &[],
            )
            .unwrap()
            .get(0)
    };
    let x402_before = x402(&mut client);
    for part in [
        "own.example",
        "USDX",
        "acacacac",
        "asked for it",
        "infinity",
        "allow_ledger_drop",
        "true, true, false]",
    ] {
        assert!(x402_before.contains(part), "{part}");
    }
    let directory = tempfile::tempdir().unwrap();
    // As InsForge's dashboard restores: over the database that is there.
    let over = directory.path().join("over");
    run(shared_cluster()
        .client_command("pg_dump")
        .args(["--format", "custom", "--file"])
        .arg(&over)
        .arg(database.name()));
    run(shared_cluster()
        .client_command("pg_restore")
        .args([
            "--clean",
            "--if-exists",
            "--single-transaction",
            "--exit-on-error",
            "--dbname",
            database.name(),
        ])
        .arg(&over));
    assert_eq!(x402(&mut client), x402_before);
    for format in ["plain", "custom", "directory"] {
        let file = directory.path().join(format);
        run(shared_cluster()
            .client_command("pg_dump")
            .args(["--format", format, "--file"])
            .arg(&file)
            .arg(database.name()));
        if format == "plain" {
            let dump = std::fs::read_to_string(&file).unwrap();
            assert!(dump.contains("i.example/jwks") && !dump.contains("must not be in any dump"));
        }
        let restored = shared_cluster().database(Fixture::Empty).unwrap();
        match format {
            "plain" => run(shared_cluster()
                .client_command("psql")
                .args([
                    "--no-psqlrc",
                    "--quiet",
                    "-v",
                    "ON_ERROR_STOP=1",
                    "--dbname",
                    restored.name(),
                    "--file",
                ])
                .arg(&file)),
            _ => run(shared_cluster()
                .client_command("pg_restore")
                .args(["--exit-on-error", "--jobs=2", "--dbname", restored.name()])
                .arg(&file)),
        }
        let mut client = restored.connect().unwrap();
        assert_eq!(x402(&mut client), x402_before);
        let changed = client
            .query(
                "SELECT FROM insforge_integrations_internal.compare_installed_objects() WHERE NOT is_as_installed",
                &[],
            )
            .unwrap();
        assert!(changed.is_empty(), "{format}");
        client
            .execute(
                "SELECT set_config('request.jwt.claims', $1, false)",
                &[&claims_of("alice")],
            )
            .unwrap();
        let user = |client: &mut Client| -> Option<String> {
            client
                .query_one("SELECT requesting_user_id_guide()", &[])
                .unwrap()
                .get(0)
        };
        assert_eq!(user(&mut client), None, "{format}: the setting was lost");
        let row = client
            .query_one(
                "SELECT jwks_url, jwks->'keys' IS NOT NULL, (SELECT count(*) FROM insforge_integrations.jwt_secrets)
                        + (SELECT count(*) FROM insforge_integrations.session_secrets)
                 FROM insforge_integrations.auth_providers WHERE name = 'partner'",
                &[],
            )
            .unwrap();
        assert_eq!(row.get::<_, String>(0), "https://i.example/jwks");
        assert_eq!(
            (row.get::<_, bool>(1), row.get::<_, i64>(2)),
            (true, 0),
            "{format}"
        );
        client
            .execute(
                "SELECT insforge_integrations.configure('identity_source', 'claims')",
                &[],
            )
            .unwrap();
        assert_eq!(user(&mut client).as_deref(), Some("alice"));
        client.batch_execute("SET ROLE authenticated").unwrap();
        assert_eq!(client.query("SELECT FROM notes", &[]).unwrap().len(), 1);
        let own = client.query("SELECT FROM x402_payments", &[]).unwrap();
        assert_eq!(own.len(), 2, "{format}: the publication was lost");
    }
}

fn run(command: &mut std::process::Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn scheduled(client: &mut Client) -> i64 {
    client
        .query_one("SELECT count(*) FROM cron.job", &[])
        .unwrap()
        .get(0)
}

#[test]
fn drop_extension_ends_its_cron_job() {
    if !has_extension("pg_cron") {
        return;
    }
    let cluster = Cluster::start_with(
        "shared_preload_libraries = 'pg_cron'\ncron.database_name = 'db_0'\ncron.use_background_workers = on",
    )
    .unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "CREATE EXTENSION pg_cron;
             SELECT insforge_integrations.schedule_jwks_refresh('1 hour');
             SELECT cron.schedule('a job of another''s', '0 0 1 1 *', 'SELECT 1');
             CREATE SCHEMA cron_jobs",
        )
        .unwrap();
    // Scheduled by somebody else, and one of that name in another database.
    client
        .batch_execute(
            "CREATE ROLE operator SUPERUSER LOGIN; SET ROLE operator;
             SELECT insforge_integrations.schedule_jwks_refresh('2 hours');
             RESET ROLE;
             SELECT cron.schedule_in_database('insforge_integrations refresh_provider_jwks', '0 0 1 1 *', 'SELECT 1', 'postgres', 'operator')",
        )
        .unwrap();
    let before = scheduled(&mut client);
    assert!(before >= 3, "{before}");
    // Statements that do not drop the extension leave the job alone.
    for statement in [
        "DROP SCHEMA cron_jobs",
        "BEGIN; DROP EXTENSION insforge_integrations; ROLLBACK",
        "CREATE TABLE notes (user_id text DEFAULT requesting_user_id())",
    ] {
        client.batch_execute(statement).unwrap();
        assert_eq!(scheduled(&mut client), before, "{statement}");
    }
    for statement in [
        "DROP EXTENSION insforge_integrations",
        "DROP SCHEMA insforge_integrations",
    ] {
        let refused = client.batch_execute(statement).unwrap_err();
        assert_eq!(
            refused.code(),
            Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST),
            "{statement}"
        );
        assert_eq!(scheduled(&mut client), before, "{statement}");
    }
    let by_hand: i64 = client
        .query_one(
            "SELECT insforge_integrations.unschedule_jwks_refresh()",
            &[],
        )
        .unwrap()
        .get(0);
    assert!(by_hand >= 1, "{by_hand}");
    client
        .batch_execute(
            "DROP TABLE notes; SELECT insforge_integrations.schedule_jwks_refresh('1 hour')",
        )
        .unwrap();
    for statement in [
        "DROP EXTENSION insforge_integrations CASCADE",
        "CREATE SCHEMA api; CREATE EXTENSION insforge_integrations SCHEMA api;
         SELECT insforge_integrations.schedule_jwks_refresh('1 hour');
         DROP SCHEMA api CASCADE",
    ] {
        client.batch_execute(statement).unwrap();
        let left: Vec<String> = client
            .query(
                "SELECT coalesce(jobname::text, '') FROM cron.job WHERE database = current_database()",
                &[],
            )
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        assert_eq!(left, ["a job of another's"], "{statement}");
    }
    // An extension of the schema's name is another.
    client
        .batch_execute(
            "CREATE SCHEMA citext; CREATE EXTENSION citext; CREATE EXTENSION insforge_integrations SCHEMA citext;
             SELECT insforge_integrations.schedule_jwks_refresh('1 hour')",
        )
        .unwrap();
    let before = scheduled(&mut client);
    client.batch_execute("DROP EXTENSION citext").unwrap();
    assert_eq!(scheduled(&mut client), before);
    client
        .batch_execute("DROP EXTENSION insforge_integrations")
        .unwrap();
    assert_eq!(scheduled(&mut client), before - 1);
    // Without pg_cron there is no job to end.
    client
        .batch_execute(
            "DROP EXTENSION pg_cron;
             CREATE EXTENSION insforge_integrations; DROP EXTENSION insforge_integrations",
        )
        .unwrap();
}

/// PostgREST listens on this channel, and then answers RPCs to functions that it did not know.
#[test]
fn postgrest_is_told_of_the_functions_at_commit() {
    let cluster = Cluster::start_with("max_prepared_transactions = 1").unwrap();
    let database = cluster.database(Fixture::InsForge).unwrap();
    let mut client = database.connect().unwrap();
    let mut listener = database.connect().unwrap();
    listener.batch_execute("LISTEN pgrst").unwrap();
    client
        .batch_execute("BEGIN; CREATE EXTENSION insforge_integrations; ROLLBACK")
        .unwrap();
    client
        .batch_execute("CREATE EXTENSION insforge_integrations")
        .unwrap();
    let minute = std::time::Duration::from_secs(60);
    let told = listener.notifications().timeout_iter(minute).next();
    assert_eq!(told.unwrap().unwrap().payload(), "reload schema");

    // Citus names its sessions on workers like this, and prepares their transactions.
    client
        .batch_execute(
            "DROP EXTENSION insforge_integrations;
             SET application_name = 'citus_internal gpid=10000000001';",
        )
        .unwrap();
    client
        .batch_execute("BEGIN; CREATE EXTENSION insforge_integrations; PREPARE TRANSACTION 'citus'")
        .unwrap();
    client.batch_execute("COMMIT PREPARED 'citus'").unwrap();
    listener.batch_execute("SELECT 1").unwrap();
    assert!(listener.notifications().is_empty());
}
