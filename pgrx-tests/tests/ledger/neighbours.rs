//! The ledger's neighbours: readers, the guide's table, realtime.

use super::*;

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
    insert(&hash(0xac)[2..], PAYER, "2", "settled");
    insert("0xmock", PAYER, "1", "settled");
    insert(&hash(0xad), PAYER, "1.5", "settled");
    insert(&hash(0xae), PAYER, "1", "failed");
    client.batch_execute(&hint).unwrap();
    let mut statements = hint.split_inclusive(';');
    let import = statements
        .find(|statement| statement.contains("import_x402_payments("))
        .unwrap();
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
            "SELECT count(*) FROM x402_payments p JOIN x402_payments_guide g USING (id, endpoint, amount, created_at)
             WHERE lower(g.payer_address) = p.payer_address AND p.tx_hash LIKE '%' || g.tx_hash",
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

/// An operator's trigger on the ledger runs with the rights of the ledger's owner.
#[test]
fn a_callers_search_path_reaches_nothing_that_runs_with_the_owners_rights() {
    let (database, mut client) = database();
    database
        .connect()
        .unwrap()
        .batch_execute(
            "CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN NEW.response_summary := upper(NEW.response_summary); RETURN NEW; END $$;
             CREATE TRIGGER note BEFORE INSERT ON insforge_integrations.x402_settlements
               FOR EACH ROW EXECUTE FUNCTION public.note();
             CREATE SCHEMA evil AUTHORIZATION project_admin",
        )
        .unwrap();
    client
        .batch_execute(
            "CREATE FUNCTION evil.upper(text) RETURNS text LANGUAGE plpgsql AS
               $$ BEGIN RAISE EXCEPTION 'called as %', current_user; END $$;
             SET search_path = evil, pg_catalog, public",
        )
        .unwrap();
    let row = client
        .query_one(
            "SELECT response_summary, current_user::text, current_setting('search_path')
             FROM record_x402_settlement($1, $2, $3, '1', response_summary => 'a report')",
            &[&hash(1), &PAYER, &ENDPOINT],
        )
        .unwrap();
    assert_eq!(row.get::<_, String>(0), "A REPORT");
    assert_eq!(row.get::<_, String>(1), "project_admin");
    assert_eq!(row.get::<_, String>(2), "evil, pg_catalog, public");
}

#[test]
fn dashboards_queries_are_answered_by_an_index() {
    let (database, mut client) = database();
    let mut superuser = database.connect().unwrap();
    superuser
        .batch_execute(
            "INSERT INTO insforge_integrations.x402_settlements
               (id, created_at, tx_hash, payer_address, endpoint, amount, network, user_id, is_mock)
             SELECT gen_random_uuid(), now() - n * interval '1 s', '0x' || lpad(to_hex(n), 64, '0'),
                    '0x' || lpad(to_hex(n % 500), 40, '0'), '/r', 1, 'eip155:196', 'user_' || n % 700, false
             FROM generate_series(1, 20000) n;
             ANALYZE insforge_integrations.x402_settlements;
             SELECT insforge_integrations.publish_x402_payments('authenticated', 'own')",
        )
        .unwrap();
    let mut user = database.connect_as("authenticated").unwrap();
    user.batch_execute("SET request.jwt.claims = '{\"sub\": \"user_3\"}'")
        .unwrap();
    let reads_by = |client: &mut Client, query: &str, index: &str| {
        let plan: Vec<String> = client
            .query(
                &format!("EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT * FROM x402_payments {query}"),
                &[],
            )
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .filter(|line: &String| !line.contains("never executed"))
            .collect();
        assert!(
            plan.iter().any(|line| line.contains(index))
                && !plan
                    .iter()
                    .any(|line| line.contains("Seq Scan on x402_settlements")),
            "{query}: {plan:#?}"
        );
    };
    let newest = "ORDER BY created_at DESC LIMIT 50";
    let payer = format!("WHERE payer_address = '0x{:040x}' {newest}", 7);
    let transaction = format!("WHERE tx_hash = '{}'", hash(7));
    for reader in [&mut client, &mut user] {
        reads_by(reader, &payer, "x402_settlements_payer_address");
        reads_by(reader, &transaction, "x402_settlements_tx_hash_key");
    }
    reads_by(&mut client, newest, "x402_settlements_created_at");
    reads_by(&mut user, newest, "x402_settlements_user_id");
}
