//! A project with 0.1.0, and what must be true of it after an upgrade.

use insforge_integrations_tests::{Cluster, Database, Fixture};
use postgres::Client;
use serde_json::Value;

pub(crate) const OLD: &str = "CREATE EXTENSION insforge_integrations VERSION '0.1.0'";

/// Rows in every table of 0.1.0, and a user's objects that use its functions.
const PROJECT: &str = "
SELECT insforge_integrations.configure('token_ttl', '30 minutes');
SELECT insforge_integrations.register_clerk('https://clerk.example.com', authorized_parties => '{http://localhost:3000}');
INSERT INTO insforge_integrations.session_secrets (provider, secret) VALUES ('clerk', repeat('s', 32));
INSERT INTO insforge_integrations.jwks_fetches (provider, fetched_at) VALUES ('clerk', '2026-01-01');
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
UPDATE insforge_integrations.x402_reservations SET state = 'settled', tx_hash = '0x' || repeat('2', 64), settled_at = now()
  WHERE nonce = '0x' || repeat('2', 64);
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
    -- From 17 on the row types of relations and the array types are members, too, but not after pg_upgrade from 15.
    AND NOT (d.classid = 'pg_type'::regclass AND EXISTS (
      SELECT FROM pg_type t LEFT JOIN pg_class r ON r.oid = t.typrelid WHERE t.oid = d.objid AND (t.typelem <> 0 OR r.relkind <> 'c')))
), relation AS (
  SELECT c.* FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
  UNION ALL
  SELECT c.* FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
    JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c'
)
SELECT concat_ws(' ', 'member', pg_describe_object(classid, objid, 0), obj_description(objid, classid::regclass::name)) FROM member
UNION ALL SELECT concat_ws(' ', 'function', pg_get_functiondef(p.oid), pg_temp.sorted(coalesce(p.proacl, acldefault('f', p.proowner))), p.proowner::regrole)
  FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
UNION ALL SELECT concat_ws(' ', 'relation', r.oid::regclass, r.relkind::text, pg_temp.sorted(coalesce(r.relacl, acldefault('r', r.relowner))), r.reloptions::text, r.relrowsecurity, r.relowner::regrole) FROM relation r
UNION ALL SELECT concat_ws(' ', 'view', r.oid::regclass, pg_get_viewdef(r.oid)) FROM relation r WHERE r.relkind = 'v'
UNION ALL SELECT concat_ws(' ', 'column', r.oid::regclass, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation,
    a.attnotnull, pg_get_expr(d.adbin, d.adrelid), pg_temp.sorted(a.attacl), col_description(r.oid, a.attnum))
  FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
UNION ALL SELECT concat_ws(' ', 'constraint', r.oid::regclass, c.conname, pg_get_constraintdef(c.oid)) FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid
UNION ALL SELECT concat_ws(' ', 'constraint', c.contypid::regtype, c.conname, pg_get_constraintdef(c.oid)) FROM member m JOIN pg_constraint c
  ON m.classid = 'pg_type'::regclass AND c.contypid = m.objid
UNION ALL SELECT concat_ws(' ', 'domain', t.oid::regtype, format_type(t.typbasetype, t.typtypmod), t.typcollation::regcollation, pg_temp.sorted(coalesce(t.typacl, acldefault('T', t.typowner))))
  FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
UNION ALL SELECT concat_ws(' ', 'index', pg_get_indexdef(i.indexrelid)) FROM relation r JOIN pg_index i ON i.indrelid = r.oid
UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid), t.tgenabled::text) FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
UNION ALL SELECT concat_ws(' ', 'event trigger', t.evtname, t.evtevent, t.evttags::text, t.evtenabled::text, t.evtfoid::regproc) FROM pg_event_trigger t
UNION ALL SELECT concat_ws(' ', 'schema', n.nspname, pg_temp.sorted(coalesce(n.nspacl, acldefault('n', n.nspowner)))) FROM member m JOIN pg_namespace n ON m.classid = 'pg_namespace'::regclass AND n.oid = m.objid
UNION ALL SELECT concat_ws(' ', 'dumped', c.oid::regclass, c.condition) FROM pg_extension e, unnest(e.extconfig, e.extcondition) AS c (oid, condition)
UNION ALL SELECT concat_ws(' ', 'extension', e.extname, e.extversion, e.extnamespace::regnamespace) FROM pg_extension e
UNION ALL SELECT concat_ws(' ', 'rule', r) FROM insforge_integrations.advisor_rules r
UNION ALL SELECT concat_ws(' ', 'fact', f) FROM insforge_integrations.advisor_facts f
UNION ALL SELECT concat_ws(' ', 'network', n) FROM insforge_integrations.x402_network_entries n WHERE n.is_builtin
UNION ALL SELECT concat_ws(' ', 'asset', a) FROM insforge_integrations.x402_asset_entries a WHERE a.is_builtin
UNION ALL SELECT concat_ws(' ', 'installed', c.identity, c.kind, c.is_as_installed) FROM insforge_integrations_internal.compare_installed_objects() c
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

/// A database like InsForge's with 0.1.0 and its rows.
pub(crate) fn create(cluster: &Cluster) -> (Database<'_>, Client) {
    let database = cluster.database(Fixture::InsForge).unwrap();
    let mut client = database.connect().unwrap();
    client.batch_execute(OLD).unwrap();
    client.batch_execute(PROJECT).unwrap();
    (database, client)
}

pub(crate) fn update(client: &mut Client) {
    client
        .batch_execute("ALTER EXTENSION insforge_integrations UPDATE")
        .unwrap();
}

fn catalog(client: &mut Client) -> Vec<String> {
    // pg_upgrade gives the same privileges in another order, and forgets those that are the default.
    client
        .batch_execute(
            "CREATE OR REPLACE FUNCTION pg_temp.sorted(acl aclitem[]) RETURNS text LANGUAGE sql STRICT
               AS 'SELECT array_agg(a::text ORDER BY a::text)::text FROM unnest(acl) a'",
        )
        .unwrap();
    let rows = client.query(CATALOG, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The rows of each table, without those that the install script makes.
pub(crate) fn content(client: &mut Client) -> Vec<Vec<Value>> {
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

pub(crate) fn assert_catalog_is_new(client: &mut Client, cluster: &Cluster) {
    compare_catalog(client, cluster, |_| true);
}

/// Views that pg_upgrade moved are the same, and Postgres writes them in other words.
pub(crate) fn assert_catalog_is_new_except_texts_of_views(client: &mut Client, cluster: &Cluster) {
    compare_catalog(client, cluster, |line| !line.starts_with("view "));
}

fn compare_catalog(client: &mut Client, cluster: &Cluster, counts: fn(&str) -> bool) {
    let mut upgraded = catalog(client);
    upgraded.retain(|line| counts(line));
    let fresh = cluster.database(Fixture::Extension).unwrap();
    // The publication of the project gives a role privileges on views.
    let mut fresh = fresh.connect().unwrap();
    fresh
        .batch_execute("SELECT insforge_integrations.publish_x402_payments('authenticated', 'own')")
        .unwrap();
    let mut fresh = catalog(&mut fresh);
    fresh.retain(|line| counts(line));
    assert!(fresh.len() > 600, "{}", fresh.len());
    let missing: Vec<_> = fresh
        .iter()
        .filter(|line| !upgraded.contains(line))
        .collect();
    let extra: Vec<_> = upgraded
        .iter()
        .filter(|line| !fresh.contains(line))
        .collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing: {missing:#?}\nextra: {extra:#?}"
    );
}

/// Compares the columns that the rows had before.
pub(crate) fn assert_rows_are_kept(before: Vec<Vec<Value>>, after: Vec<Vec<Value>>) {
    for ((before, mut after), table) in before.into_iter().zip(after).zip(TABLES) {
        for (before, after) in before.iter().zip(&mut after) {
            let (before, after) = (before.as_object().unwrap(), after.as_object_mut().unwrap());
            after.retain(|column, _| before.contains_key(column));
        }
        assert_eq!(before, after, "{table}");
    }
}

/// Dumps a database, perhaps of an older server, and restores it with the programs of the other.
pub(crate) fn dump(from: &Database, to: &Database) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let pg_dump = to
        .cluster()
        .client_command("pg_dump")
        .env("PGHOST", from.cluster().socket_directory())
        .args(["--format=custom", "-d", from.name(), "--file"])
        .arg(file.path())
        .output()
        .unwrap();
    assert!(pg_dump.status.success(), "{pg_dump:?}");
    let pg_restore = to
        .cluster()
        .client_command("pg_restore")
        .args(["--exit-on-error", "-d", to.name()])
        .arg(file.path())
        .output()
        .unwrap();
    assert!(
        pg_restore.status.success(),
        "{}",
        String::from_utf8_lossy(&pg_restore.stderr)
    );
}

/// Secrets and the state of fetches.
pub(crate) fn enter_what_is_not_dumped(client: &mut Client) {
    client
        .batch_execute(
            "INSERT INTO insforge_integrations.session_secrets (provider, secret) VALUES ('clerk', repeat('s', 32));
             INSERT INTO insforge_integrations.jwks_fetches (provider, fetched_at) VALUES ('clerk', '2026-01-01');
             SELECT insforge_integrations.set_jwt_secret(repeat('k', 32))",
        )
        .unwrap();
}
