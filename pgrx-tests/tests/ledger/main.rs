//! The ledger of x402 payments: what gets in, what does not, and that nothing is lost.

mod crash;
mod races;
mod reservations;
mod shop;

use insforge_integrations_tests::node::Process;
use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::error::{DbError, SqlState};
use postgres::{Client, GenericClient, Row};
use serde_json::{Value, json};

const PAYER: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
const ENDPOINT: &str = "https://api.example.com/report";

fn database() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let client = database.connect_as("project_admin").unwrap();
    (database, client)
}

fn hash(number: u64) -> String {
    format!("0x{number:064x}")
}

fn record(client: &mut impl GenericClient, hash: &str) -> Result<Row, postgres::Error> {
    client.query_one(
        "SELECT * FROM record_x402_settlement($1, $2, $3, '10000')",
        &[&hash, &PAYER, &ENDPOINT],
    )
}

/// What Postgres said.
fn refused(error: &postgres::Error) -> &DbError {
    error.as_db_error().unwrap_or_else(|| panic!("{error:?}"))
}

/// Payments that viem signs as InsForge's guide has buyers do: 10000 USDG on X Layer.
struct Buyer {
    process: Process,
    requirements: Value,
    header: String,
}

impl Buyer {
    fn new(client: &mut Client) -> Self {
        let row = client
            .query_one(
                "SELECT r, insforge_integrations.x402_payment_required_header(r)
                 FROM insforge_integrations.x402_payment_requirements($1, '10000', $2) r",
                &[&PAYER, &ENDPOINT],
            )
            .unwrap();
        Self {
            process: Process::start("x402_clients.mjs", &[]).unwrap(),
            requirements: row.get(0),
            header: row.get(1),
        }
    }

    /// A header, and who signed it.
    fn pay(&mut self) -> (String, String) {
        let paid = self
            .process
            .ask(&json!({"client": "viem", "header": self.header}))
            .unwrap();
        let text = |name: &str| paid[name].as_str().unwrap().to_owned();
        (text("header"), text("payer"))
    }
}

#[test]
fn a_settlement_is_recorded_in_one_spelling_and_returned() {
    let (_database, mut client) = database();
    let upper = format!("0x{}", "AB".repeat(32));
    for (hash, chain) in [(upper.as_str(), "xlayer"), (&hash(1), "eip155:8453")] {
        let row = client
            .query_one(
                "SELECT tx_hash, payer_address, amount, chain, status, network, explorer_url, is_mock
                 FROM record_x402_settlement($1, $2, $3, $4, $5)",
                &[&hash, &PAYER, &ENDPOINT, &format!("{}", u128::MAX), &chain],
            )
            .unwrap();
        assert_eq!(row.get::<_, String>(0), hash.to_lowercase());
        assert_eq!(row.get::<_, String>(1), PAYER.to_lowercase());
        assert_eq!(row.get::<_, String>(2), u128::MAX.to_string());
        let expected = match chain {
            "xlayer" => (
                "xlayer",
                "eip155:196",
                "https://www.okx.com/web3/explorer/xlayer/tx/",
            ),
            _ => ("base", "eip155:8453", "https://basescan.org/tx/"),
        };
        assert_eq!(row.get::<_, String>(3), expected.0);
        assert_eq!(row.get::<_, String>(4), "settled");
        assert_eq!(row.get::<_, String>(5), expected.1);
        assert_eq!(
            row.get::<_, String>(6),
            format!("{}{}", expected.2, hash.to_lowercase())
        );
        assert!(!row.get::<_, bool>(7));
    }
}

#[test]
fn what_is_no_settlement_is_refused_with_its_place() {
    let (_database, mut client) = database();
    let maximum = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let beyond = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    let good = [
        hash(1),
        PAYER.to_owned(),
        ENDPOINT.to_owned(),
        maximum.to_owned(),
        "xlayer".to_owned(),
        "settled".to_owned(),
    ];
    for (place, value, code) in [
        (0, "", "22P02"),
        (0, "0xabc", "22P02"),
        (0, &hash(1)[2..], "22P02"),
        (0, &format!("{}00", hash(1)), "22P02"),
        (1, "0x10", "22P02"),
        (2, "", "22023"),
        (3, "", "22P02"),
        (3, "1.5", "22P02"),
        (3, "1e3", "22P02"),
        (3, "-1", "22023"),
        (3, beyond, "22023"),
        (4, "solana", "22023"),
        (5, "pending", "22023"),
    ] {
        let mut arguments = good.clone();
        arguments[place] = value.to_owned();
        let [a, b, c, d, e, f] = &arguments;
        let error = client
            .query(
                "SELECT FROM record_x402_settlement($1, $2, $3, $4, $5, $6)",
                &[a, b, c, d, e, f],
            )
            .unwrap_err();
        let error = refused(&error);
        assert_eq!(error.code().code(), code, "{arguments:?}");
        assert!(error.detail().is_some() && error.hint().is_some());
    }
    let [a, b, c, d, e, f] = &good;
    client
        .query_one(
            "SELECT FROM record_x402_settlement($1, $2, $3, $4, $5, $6)",
            &[a, b, c, d, e, f],
        )
        .unwrap();
}

#[test]
fn a_known_transaction_is_refused_or_given_back() {
    let (_database, mut client) = database();
    record(&mut client, &hash(1)).unwrap();
    let error = record(&mut client, &hash(1)).unwrap_err();
    let error = refused(&error);
    assert_eq!(error.code(), &SqlState::UNIQUE_VIOLATION);
    assert!(error.detail().unwrap().contains("is identical"));
    assert!(error.hint().unwrap().contains("idempotent => true"));
    let mut again = |amount: &str, summary: Option<&str>| {
        client.query_one(
            "SELECT id::text FROM record_x402_settlement($1, $2, $3, $4, response_summary => $5, idempotent => true)",
            &[&hash(1), &PAYER.to_lowercase(), &ENDPOINT, &amount, &summary],
        )
    };
    let one: String = again("10000", None).unwrap().get(0);
    assert_eq!(again("10000", None).unwrap().get::<_, String>(0), one);
    let error = again("10001", Some("x")).unwrap_err();
    assert_eq!(refused(&error).code(), &SqlState::UNIQUE_VIOLATION);
    assert!(
        refused(&error)
            .detail()
            .unwrap()
            .ends_with("differs in: amount, response_summary.")
    );
}

/// Whatever stands between the function and the table.
#[test]
fn no_path_returns_without_a_row_or_an_error() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    for (install, remove) in [
        (
            "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER swallow BEFORE INSERT ON insforge_integrations.x402_settlements
               FOR EACH ROW EXECUTE FUNCTION public.swallow()",
            "DROP FUNCTION public.swallow CASCADE",
        ),
        (
            "CREATE RULE swallow AS ON INSERT TO insforge_integrations.x402_settlements DO INSTEAD NOTHING",
            "DROP RULE swallow ON insforge_integrations.x402_settlements",
        ),
    ] {
        superuser.batch_execute(install).unwrap();
        for isolation in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
            client
                .batch_execute(&format!("BEGIN ISOLATION LEVEL {isolation}"))
                .unwrap();
            assert!(record(&mut client, &hash(1)).is_err(), "{install} {isolation}");
            client.batch_execute("ROLLBACK").unwrap();
        }
        superuser.batch_execute(remove).unwrap();
    }
    client.batch_execute("BEGIN READ ONLY").unwrap();
    let error = record(&mut client, &hash(1)).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    let error = record(&mut client, &hash(1)).unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    client.batch_execute("ROLLBACK").unwrap();
    record(&mut client, &hash(1)).unwrap();
}

#[test]
fn the_ledger_is_append_only_for_everybody() {
    let (database, mut client) = database();
    record(&mut client, &hash(1)).unwrap();
    client
        .query_one(
            "SELECT FROM insforge_integrations.correct_x402_settlement($1, 'note', 'looked at')",
            &[&hash(1)],
        )
        .unwrap();
    let mut superuser = database.connect().unwrap();
    for table in ["x402_settlements", "x402_corrections"] {
        for statement in [
            "UPDATE {} SET tx_hash = tx_hash",
            "DELETE FROM {}",
            "TRUNCATE {}",
        ] {
            let statement = statement.replace("{}", &format!("insforge_integrations.{table}"));
            for client in [&mut client, &mut superuser] {
                let error = client.batch_execute(&statement).unwrap_err();
                assert_eq!(
                    error.code(),
                    Some(&SqlState::INSUFFICIENT_PRIVILEGE),
                    "{statement}"
                );
            }
            let error = superuser
                .batch_execute(&format!(
                    "SET session_replication_role = replica; {statement}"
                ))
                .unwrap_err();
            assert_eq!(
                error.code(),
                Some(&SqlState::INSUFFICIENT_PRIVILEGE),
                "{statement}"
            );
            superuser
                .batch_execute("RESET session_replication_role")
                .unwrap();
        }
    }
}

#[test]
fn the_extension_is_not_dropped_with_its_ledger() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    superuser
        .batch_execute("CREATE SCHEMA other; CREATE ROLE nobody_in_particular; DROP OWNED BY nobody_in_particular; DROP ROLE nobody_in_particular; DROP SCHEMA other")
        .unwrap();
    record(&mut client, &hash(1)).unwrap();
    for statement in [
        "DROP EXTENSION insforge_integrations",
        "DROP EXTENSION IF EXISTS insforge_integrations CASCADE",
        "DROP SCHEMA insforge_integrations CASCADE",
        "DROP SCHEMA public CASCADE",
        "DROP EXTENSION plpgsql CASCADE",
        "DROP LANGUAGE plpgsql CASCADE",
        "DROP OWNED BY postgres CASCADE",
    ] {
        let error = superuser.batch_execute(statement).unwrap_err();
        assert_eq!(
            (error.code(), refused(&error).message()),
            (
                Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE),
                "the x402 ledger is not empty"
            ),
            "{statement}"
        );
    }
    superuser
        .batch_execute(
            "CREATE SCHEMA other; DROP SCHEMA other;
             SELECT insforge_integrations.configure('allow_ledger_drop', 'on');
             DROP EXTENSION insforge_integrations",
        )
        .unwrap();
}

#[test]
fn each_reader_sees_what_is_published_to_it() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    record(&mut client, &hash(1)).unwrap();
    client
        .query_one(
            "SELECT FROM record_x402_settlement($1, '0x00000000000000000000000000000000000000aa', '/other', '7')",
            &[&hash(2)],
        )
        .unwrap();
    superuser
        .execute(
            "SELECT insforge_integrations.map_x402_payer($1, 'alice')",
            &[&PAYER],
        )
        .unwrap();
    let mut reader = database.connect_as("authenticated").unwrap();
    let mut seen = |user: &str| -> Result<i64, postgres::Error> {
        reader.execute(
            "SELECT set_config('request.jwt.claims', $1, false)",
            &[&json!({"sub": user}).to_string()],
        )?;
        Ok(reader
            .query_one("SELECT count(*) FROM x402_payments", &[])?
            .get(0))
    };
    assert_eq!(
        seen("alice").unwrap_err().code(),
        Some(&SqlState::INSUFFICIENT_PRIVILEGE)
    );
    for (scope, alice, bob) in [("own", 1, 0), ("all", 2, 2), ("own", 1, 0)] {
        superuser
            .execute(
                "SELECT insforge_integrations.publish_x402_payments('authenticated', $1)",
                &[&scope],
            )
            .unwrap();
        assert_eq!(
            (seen("alice").unwrap(), seen("bob").unwrap()),
            (alice, bob),
            "{scope}"
        );
        superuser
            .execute(
                "SELECT insforge_integrations.grant_to_insforge_roles()",
                &[],
            )
            .unwrap();
    }
    superuser
        .execute(
            "SELECT insforge_integrations.publish_x402_payments('authenticated', 'none')",
            &[],
        )
        .unwrap();
    assert!(seen("alice").is_err());
    for statement in [
        "INSERT INTO x402_payments (tx_hash) VALUES ('0x')",
        "UPDATE x402_payments SET amount = '0'",
        "DELETE FROM x402_payments",
    ] {
        let error = superuser.batch_execute(statement).unwrap_err();
        assert_eq!(
            error.code(),
            Some(&SqlState::INSUFFICIENT_PRIVILEGE),
            "{statement}"
        );
    }
}

#[test]
fn the_guides_table_is_imported_and_what_cannot_be_is_named() {
    let database = shared_cluster().database(Fixture::InsForge).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "CREATE TABLE public.x402_payments (
               id uuid PRIMARY KEY DEFAULT gen_random_uuid(), payer_address text NOT NULL, endpoint text NOT NULL,
               amount text NOT NULL, tx_hash text NOT NULL UNIQUE, chain text DEFAULT 'xlayer', status text DEFAULT 'settled',
               response_summary text, created_at timestamptz DEFAULT now());",
        )
        .unwrap();
    let error = client
        .batch_execute("CREATE EXTENSION insforge_integrations")
        .unwrap_err();
    let hint = refused(&error).hint().unwrap().to_owned();
    let mut insert = |hash: &str, payer: &str, amount: &str, status: &str| {
        client
            .execute(
                "INSERT INTO public.x402_payments (tx_hash, payer_address, endpoint, amount, status, created_at)
                 VALUES ($1, $2, '/r', $3, $4, '2025-05-05 05:05+00')",
                &[&hash, &payer, &amount, &status],
            )
            .unwrap();
    };
    insert(&hash(0xab), PAYER, "10000", "settled");
    insert(
        &hash(0xab).to_uppercase().replace("0X", "0x"),
        PAYER,
        "10000",
        "settled",
    );
    insert(&hash(0xac), PAYER, "2", "settled");
    insert("0xmock", PAYER, "1", "settled");
    insert(&hash(0xad), PAYER, "1.5", "settled");
    insert(&hash(0xae), PAYER, "1", "failed");
    for statement in hint.split_inclusive(';').take(2) {
        client.batch_execute(statement).unwrap();
    }
    let import = hint.split_inclusive(';').nth(2).unwrap();
    for _ in 0..2 {
        let rows = client.query(import, &[]).unwrap();
        let refused: Vec<(String, String)> =
            rows.iter().map(|row| (row.get(1), row.get(2))).collect();
        assert_eq!(
            refused,
            [
                ("0xmock".to_owned(), "invalid transaction hash".to_owned()),
                (hash(0xad), "invalid amount".to_owned()),
                (
                    hash(0xae),
                    "a settlement of status \"failed\" cannot be recorded".to_owned()
                ),
            ]
        );
    }
    let same: i64 = client
        .query_one(
            "SELECT count(*) FROM x402_payments p JOIN x402_payments_guide g USING (id, endpoint, amount, tx_hash, created_at)
             WHERE lower(g.payer_address) = p.payer_address",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(same, 2);
    // A view in the table's place could run anything.
    client
        .batch_execute("CREATE VIEW v AS SELECT * FROM x402_payments_guide")
        .unwrap();
    let error = client
        .query(
            "SELECT insforge_integrations.import_x402_payments('v')",
            &[],
        )
        .unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::WRONG_OBJECT_TYPE));
}

#[test]
fn realtime_is_told_and_never_costs_the_record() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    superuser
        .batch_execute(
            "SELECT insforge_integrations.configure('realtime', 'on');
             CREATE SCHEMA realtime;
             CREATE TABLE realtime.heard (channel text, event text, payload jsonb, as_whom name DEFAULT current_user);
             CREATE ROLE realtime_owner; GRANT ALL ON SCHEMA realtime TO realtime_owner; GRANT ALL ON realtime.heard TO realtime_owner",
        )
        .unwrap();
    let publish = |body: &str| {
        format!(
            "DROP FUNCTION IF EXISTS realtime.publish;
             CREATE FUNCTION realtime.publish(text, text, jsonb) RETURNS uuid LANGUAGE plpgsql AS $$BEGIN {body}; RETURN NULL; END$$;
             ALTER FUNCTION realtime.publish OWNER TO realtime_owner"
        )
    };
    record(&mut client, &hash(1)).unwrap();
    superuser
        .batch_execute(&publish("INSERT INTO realtime.heard VALUES ($1, $2, $3)"))
        .unwrap();
    let row = record(&mut client, &hash(2)).unwrap();
    let heard = superuser
        .query_one(
            "SELECT channel, event, payload, as_whom::text FROM realtime.heard",
            &[],
        )
        .unwrap();
    assert_eq!(heard.get::<_, String>(0), "x402_payments");
    assert_eq!(heard.get::<_, String>(1), "INSERT_x402_payments");
    assert_eq!(heard.get::<_, String>(3), "realtime_owner");
    let payload: Value = heard.get(2);
    let mut columns: Vec<&String> = payload["new"].as_object().unwrap().keys().collect();
    columns.sort();
    assert_eq!(
        columns,
        [
            "amount",
            "chain",
            "created_at",
            "endpoint",
            "id",
            "payer_address",
            "response_summary",
            "status",
            "tx_hash"
        ]
    );
    assert_eq!(payload["new"]["tx_hash"], row.get::<_, String>("tx_hash"));
    for (number, body) in [
        "RAISE EXCEPTION 'no'",
        "SET ROLE postgres",
        "INSERT INTO insforge_integrations.settings VALUES ('a', 'b')",
        "LOCK TABLE realtime.heard",
    ]
    .iter()
    .enumerate()
    {
        superuser.batch_execute(&publish(body)).unwrap();
        let mut holder = database.connect().unwrap();
        holder
            .batch_execute("BEGIN; LOCK TABLE realtime.heard")
            .unwrap();
        let hash = hash(10 + number as u64);
        record(&mut client, &hash).unwrap();
        let stored = superuser
            .query("SELECT FROM x402_payments WHERE tx_hash = $1", &[&hash])
            .unwrap();
        assert_eq!(stored.len(), 1, "{body}");
    }
    assert_eq!(
        superuser
            .query("SELECT FROM realtime.heard", &[])
            .unwrap()
            .len(),
        1
    );
}
