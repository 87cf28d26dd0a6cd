//! ALTER EXTENSION UPDATE from each released version: the catalog is that of a new installation,
//! and all rows are in place.

use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;

/// Rows in every table of 0.1.0, and a user's objects that use its functions.
const PROJECT: &str = "
SELECT insforge_integrations.configure('token_ttl', '30 minutes');
SELECT insforge_integrations.register_clerk('https://clerk.example.com', authorized_parties => '{http://localhost:3000}');
INSERT INTO insforge_integrations.session_secrets (provider, secret) VALUES ('clerk', repeat('s', 32));
INSERT INTO insforge_integrations.jwks_fetches (provider, fetched_at) VALUES ('clerk', now());
SELECT insforge_integrations.set_jwt_secret(repeat('k', 32));
SELECT insforge_integrations.register_x402_network('eip155:5', 'goerli');
INSERT INTO insforge_integrations.x402_asset_entries (network, address, symbol, name, version, decimals, domain_separator)
  VALUES ('eip155:5', '0x' || repeat('a', 40), 'T', 'Token', '1', 6, '0x' || repeat('0', 64));
SELECT insforge_integrations.publish_x402_payments('authenticated', 'own');
SELECT insforge_integrations.map_x402_payer('0x' || repeat('1', 40), 'alice');
INSERT INTO insforge_integrations.x402_settlements (id, created_at, tx_hash, payer_address, endpoint, amount, network, is_mock)
  SELECT gen_random_uuid(), now(), '0x' || repeat(n::text, 64), '0x' || repeat('1', 40), '/r', 10000, 'eip155:196', false FROM generate_series(1, 3) n;
INSERT INTO insforge_integrations.x402_corrections (tx_hash, kind, change, note)
  SELECT '0x' || repeat('1', 64), 'refund', -n, 'refunded' FROM generate_series(1, 2) n;
INSERT INTO insforge_integrations.x402_reservations (endpoint, network, asset, payer_address, pay_to, amount, nonce, valid_after, valid_before,
    is_signature_verified, payment, requirements)
  SELECT '/r', 'eip155:196', a, a, a, 10000, '0x' || repeat(n::text, 64), '-infinity', 'infinity', true, 'p', '{}'
  FROM generate_series(1, 2) n, (VALUES ('0x' || repeat('1', 40))) AS v (a);
CREATE TABLE public.todos (id integer, user_id text DEFAULT requesting_user_id(),
  digest bytea CHECK (digest <> insforge_integrations.keccak256(digest)));
ALTER TABLE public.todos ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.todos USING (user_id = (SELECT requesting_user_id()));
GRANT ALL ON public.todos TO authenticated;
";

/// Everything that the extension made, one line each.
const CATALOG: &str = "
WITH member AS (
  SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
  WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'insforge_integrations'
), relation AS (
  SELECT c.* FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
  UNION ALL
  SELECT c.* FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
    JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c'
)
SELECT concat_ws(' ', 'member', pg_describe_object(classid, objid, 0), obj_description(objid, classid::regclass::name)) FROM member
UNION ALL SELECT concat_ws(' ', 'function', pg_get_functiondef(p.oid), p.proacl::text, p.proowner::regrole)
  FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
UNION ALL SELECT concat_ws(' ', 'relation', r.oid::regclass, r.relkind::text, r.relacl::text, r.reloptions::text, r.relrowsecurity, r.relowner::regrole,
    CASE WHEN r.relkind = 'v' THEN pg_get_viewdef(r.oid) END) FROM relation r
UNION ALL SELECT concat_ws(' ', 'column', r.oid::regclass, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation,
    a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attacl::text, col_description(r.oid, a.attnum))
  FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
UNION ALL SELECT concat_ws(' ', 'constraint', r.oid::regclass, c.conname, pg_get_constraintdef(c.oid)) FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid
UNION ALL SELECT concat_ws(' ', 'constraint', c.contypid::regtype, c.conname, pg_get_constraintdef(c.oid)) FROM member m JOIN pg_constraint c
  ON m.classid = 'pg_type'::regclass AND c.contypid = m.objid
UNION ALL SELECT concat_ws(' ', 'domain', t.oid::regtype, format_type(t.typbasetype, t.typtypmod), t.typcollation::regcollation, t.typacl::text)
  FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
UNION ALL SELECT concat_ws(' ', 'index', pg_get_indexdef(i.indexrelid)) FROM relation r JOIN pg_index i ON i.indrelid = r.oid
UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid), t.tgenabled::text) FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
UNION ALL SELECT concat_ws(' ', 'event trigger', t.evtname, t.evtevent, t.evttags::text, t.evtenabled::text, t.evtfoid::regproc) FROM pg_event_trigger t
UNION ALL SELECT concat_ws(' ', 'schema', n.nspname, n.nspacl::text) FROM member m JOIN pg_namespace n ON m.classid = 'pg_namespace'::regclass AND n.oid = m.objid
UNION ALL SELECT concat_ws(' ', 'dumped', c.oid::regclass, c.condition) FROM pg_extension e, unnest(e.extconfig, e.extcondition) AS c (oid, condition)
UNION ALL SELECT concat_ws(' ', 'extension', e.extname, e.extversion, e.extnamespace::regnamespace) FROM pg_extension e
UNION ALL SELECT concat_ws(' ', 'rule', r) FROM insforge_integrations.advisor_rules r
UNION ALL SELECT concat_ws(' ', 'fact', f) FROM insforge_integrations.advisor_facts f
UNION ALL SELECT concat_ws(' ', 'network', n) FROM insforge_integrations.x402_network_entries n WHERE n.is_builtin
UNION ALL SELECT concat_ws(' ', 'asset', a) FROM insforge_integrations.x402_asset_entries a WHERE a.is_builtin
UNION ALL SELECT concat_ws(' ', 'installed', i) FROM insforge_integrations.installed_objects i
ORDER BY 1";

const TABLES: [&str; 12] = [
    "settings",
    "auth_providers",
    "jwt_secrets",
    "session_secrets",
    "jwks_fetches",
    "x402_network_entries",
    "x402_asset_entries",
    "x402_settlements",
    "x402_corrections",
    "x402_reservations",
    "x402_publications",
    "x402_payers",
];

fn project() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::InsForge).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute("CREATE EXTENSION insforge_integrations VERSION '0.1.0'")
        .unwrap();
    client.batch_execute(PROJECT).unwrap();
    (database, client)
}

fn update(client: &mut Client) {
    client
        .batch_execute("ALTER EXTENSION insforge_integrations UPDATE")
        .unwrap();
}

fn catalog(client: &mut Client) -> Vec<String> {
    let rows = client.query(CATALOG, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The rows of each table, without those that the install script makes.
fn content(client: &mut Client) -> Vec<Vec<serde_json::Value>> {
    let rows = |table| {
        let condition = if table == "x402_network_entries" || table == "x402_asset_entries" {
            "NOT is_builtin"
        } else {
            "true"
        };
        let query = format!(
            "SELECT to_jsonb(t) FROM insforge_integrations.{table} t WHERE {condition} ORDER BY to_jsonb(t)::text"
        );
        let rows = client.query(&query, &[]).unwrap();
        assert!(!rows.is_empty(), "no row in {table}");
        rows.iter().map(|row| row.get(0)).collect()
    };
    TABLES.map(rows).to_vec()
}

#[test]
fn an_updated_catalog_is_that_of_a_new_installation() {
    let (_database, mut client) = project();
    update(&mut client);
    let updated = catalog(&mut client);
    let fresh = shared_cluster().database(Fixture::Extension).unwrap();
    // The publication of the project gives a role privileges on views.
    let mut fresh = fresh.connect().unwrap();
    fresh
        .batch_execute("SELECT insforge_integrations.publish_x402_payments('authenticated', 'own')")
        .unwrap();
    let fresh = catalog(&mut fresh);
    assert!(fresh.len() > 600, "{}", fresh.len());
    let missing: Vec<_> = fresh
        .iter()
        .filter(|line| !updated.contains(line))
        .collect();
    let extra: Vec<_> = updated
        .iter()
        .filter(|line| !fresh.contains(line))
        .collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing: {missing:#?}\nextra: {extra:#?}"
    );
}

#[test]
fn an_update_keeps_every_row() {
    let (_database, mut client) = project();
    let before = content(&mut client);
    update(&mut client);
    let after = content(&mut client);
    for ((before, mut after), table) in before.into_iter().zip(after).zip(TABLES) {
        for (before, after) in before.iter().zip(&mut after) {
            let (before, after) = (before.as_object().unwrap(), after.as_object_mut().unwrap());
            after.retain(|column, _| before.contains_key(column));
        }
        assert_eq!(before, after, "{table}");
    }
    let row = client
        .query_one(
            "SELECT (SELECT array_agg(number ORDER BY number) FROM insforge_integrations.x402_corrections),
                    (SELECT bool_and(scheme = 'exact' AND nonce_contract = asset AND request_given_at = created_at)
                       FROM insforge_integrations.x402_reservations),
                    (SELECT array_agg(name) FROM insforge_integrations.stored_secrets)",
            &[],
        )
        .unwrap();
    assert_eq!(row.get::<_, Vec<i32>>(0), [1, 2]);
    assert!(row.get::<_, bool>(1));
    assert_eq!(row.get::<_, Vec<String>>(2), ["jwt_secret"]);
}

#[test]
fn policies_defaults_and_checks_of_users_stay() {
    let (_database, mut client) = project();
    update(&mut client);
    client
        .batch_execute(
            "SET ROLE authenticated; SET request.jwt.claims = '{\"sub\": \"alice\"}'; INSERT INTO todos (id) VALUES (1);
             SET request.jwt.claims = '{\"sub\": \"bob\"}'; INSERT INTO todos (id) VALUES (2)",
        )
        .unwrap();
    let mine = client.query("SELECT id, user_id FROM todos", &[]).unwrap();
    assert_eq!(mine.len(), 1);
    assert_eq!(mine[0].get::<_, String>(1), "bob");
}

#[test]
fn an_update_that_would_drop_a_users_view_is_refused() {
    let (_database, mut client) = project();
    client
        .batch_execute("CREATE VIEW public.my_payments AS SELECT * FROM x402_payments")
        .unwrap();
    let error = client
        .batch_execute("ALTER EXTENSION insforge_integrations UPDATE")
        .unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(*error.code(), SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
    assert!(error.detail().unwrap().contains("my_payments"), "{error:?}");
    client
        .batch_execute("DROP VIEW public.my_payments")
        .unwrap();
    update(&mut client);
}

/// A call that needs the tables or functions of the other version.
fn assert_says_what_to_do(client: &mut Client, statement: &str, sql: &str) {
    let error = client.batch_execute(statement).unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(
        *error.code(),
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        "{statement}: {error:?}"
    );
    let version = env!("CARGO_PKG_VERSION");
    let detail = format!("The library is version {version}, and the SQL is version {sql}.");
    assert_eq!(error.detail(), Some(&*detail));
    assert!(
        error
            .hint()
            .unwrap()
            .contains("ALTER EXTENSION insforge_integrations UPDATE"),
        "{error:?}"
    );
}

const VERIFICATION: &str = "SELECT insforge_integrations.verify_provider_jwt('e30.e30.')";

/// Functions whose arguments changed fail, too, before they do anything.
#[test]
fn the_new_library_with_the_old_sql_says_what_to_do() {
    let (_database, mut client) = project();
    let answer =
        "SELECT * FROM insforge_integrations.read_x402_answer('{}', 'eip155:196', '', '1')";
    for statement in [answer, VERIFICATION] {
        assert_says_what_to_do(&mut client, statement, "0.1.0");
    }
    let before = content(&mut client);
    let unnamed = [
        "SELECT * FROM insforge_integrations.verify_x402_payment('{}', '[]')",
        "SELECT * FROM insforge_integrations.read_x402_payment('{}', '[]')",
        "SELECT insforge_integrations.x402_payment_requirements('0x', '1')",
        "SELECT insforge_integrations.x402_payment_response_header('0x', 'eip155:196', '0x')",
        "SELECT * FROM record_x402_settlement('0x' || repeat('9', 64), '0x' || repeat('1', 40), '/r', '1')",
    ];
    for statement in unnamed {
        client.batch_execute(statement).unwrap_err();
    }
    assert_eq!(content(&mut client), before);
    let user = client
        .query_one(
            "SELECT requesting_user_id() FROM set_config('request.jwt.claims', '{\"sub\": \"alice\"}', false)",
            &[],
        )
        .unwrap();
    assert_eq!(user.get::<_, String>(0), "alice");
    update(&mut client);
    let error = client.batch_execute(VERIFICATION).unwrap_err();
    assert_eq!(
        *error.code().unwrap(),
        SqlState::INVALID_TEXT_REPRESENTATION
    );
}

/// As in a session from before the next update.
#[test]
fn the_old_library_with_newer_sql_says_what_to_do() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "UPDATE pg_extension SET extversion = '9.0' WHERE extname = 'insforge_integrations'",
        )
        .unwrap();
    assert_says_what_to_do(&mut client, VERIFICATION, "9.0");
}

#[test]
fn a_dump_of_an_updated_database_restores() {
    let (database, mut client) = project();
    update(&mut client);
    let mut before = content(&mut client);
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = shared_cluster()
        .client_command("pg_dump")
        .args(["--format=custom", "-d", database.name(), "--file"])
        .arg(file.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let restored = shared_cluster().database(Fixture::Empty).unwrap();
    let output = shared_cluster()
        .client_command("pg_restore")
        .args(["--exit-on-error", "-d", restored.name()])
        .arg(file.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut restored = restored.connect().unwrap();
    // Secrets and the state of fetches are not dumped.
    restored
        .batch_execute(
            "INSERT INTO insforge_integrations.session_secrets (provider, secret) VALUES ('clerk', repeat('s', 32));
             INSERT INTO insforge_integrations.jwks_fetches (provider, fetched_at) VALUES ('clerk', now());
             SELECT insforge_integrations.set_jwt_secret(repeat('k', 32))",
        )
        .unwrap();
    let mut after = content(&mut restored);
    for rows in [&mut before, &mut after] {
        rows.remove(4);
    }
    assert_eq!(before, after);
}
