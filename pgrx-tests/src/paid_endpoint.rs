//! `docs/examples/x402_server.mjs` behind the data API, with buyers and a facilitator
//! (`clients/paid_endpoint.mjs`).

use anyhow::Result;
use postgres::Client;
use serde_json::{Value, json};

use crate::Database;
use crate::node::Process;

/// How a facilitator can behave, and what becomes of the payment: its state, the status for the
/// buyer, whether the money has moved.
pub const ANSWERS: [(&str, &str, u16, bool); 13] = [
    ("success", "settled", 200, true),
    ("duplicate_success", "settled", 200, true),
    ("pending", "pending", 503, true),
    ("timeout_then_landed", "pending", 503, false),
    ("failure", "failed", 402, false),
    ("used_nonce", "pending", 503, true),
    ("another_payment", "conflict", 503, false),
    ("another_amount", "conflict", 503, true),
    ("cut_after_settling", "pending", 503, true),
    ("cut_before_settling", "pending", 503, false),
    ("bad_gateway", "pending", 503, false),
    ("cut_json", "pending", 503, false),
    ("server_error", "pending", 503, false),
];

/// A buyer's client, and the offers that it understands. Without offers, the example has its own.
#[must_use]
pub fn buyers() -> Vec<(Value, Value)> {
    let pay_to = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
    let guide = json!([{"pay_to": pay_to, "amount": "10000", "version": 1}]);
    let sepolia =
        json!({"pay_to": pay_to, "amount": "10000", "asset": "USDC", "network": "base-sepolia"});
    let xlayer = json!({"pay_to": pay_to, "amount": "10000"});
    let mut buyers = vec![
        (json!({"client": "@x402/fetch"}), Value::Null),
        (json!({"client": "viem"}), guide),
        (
            json!({"client": "x402-fetch"}),
            json!([xlayer.clone(), sepolia.clone()]),
        ),
        (json!({"client": "@x402/fetch"}), json!([sepolia, xlayer])),
    ];
    match std::env::var("X402_PYTHON") {
        Ok(python) if !python.is_empty() => buyers.push((json!({"python": python}), Value::Null)),
        _ => eprintln!("PyPI's x402: not run, because X402_PYTHON names no Python that has it"),
    }
    buyers
}

/// The reservation of a payment: its id, state, transaction in the ledger, and whether an operator
/// has to look it up.
///
/// # Panics
/// If there is none.
pub fn stored(superuser: &mut Client, bought: &Value) -> (String, String, Option<String>, bool) {
    let row = superuser
        .query_one(
            "SELECT r.id::text, r.state, s.tx_hash, u.reservation_id IS NOT NULL
             FROM insforge_integrations.x402_reservations r
             LEFT JOIN insforge_integrations.x402_settlements s ON s.reservation_id = r.id
             LEFT JOIN insforge_integrations.unsettled_x402_reservations u ON u.reservation_id = r.id
             WHERE r.nonce = $1",
            &[&bought["nonce"].as_str()],
        )
        .unwrap();
    (row.get(0), row.get(1), row.get(2), row.get(3))
}

/// A shop and its buyers.
pub struct Shop {
    /// The programs.
    pub process: Process,
    /// Of the database.
    pub superuser: Client,
}

impl Shop {
    /// Starts the programs. `postgrest`: the address of a real PostgREST and its secret.
    ///
    /// # Errors
    /// When they do not start.
    pub fn start(database: &Database, postgrest: &[&str]) -> Result<Self> {
        let socket = database.cluster().socket_directory().display().to_string();
        let arguments = [&[socket.as_str(), database.name()], postgrest].concat();
        Ok(Self {
            process: Process::start("paid_endpoint.mjs", &arguments)?,
            superuser: database.connect()?,
        })
    }

    /// Asks the programs.
    ///
    /// # Panics
    /// If they fail.
    pub fn ask(&mut self, question: &Value) -> Value {
        let answer = self.process.ask(question).unwrap();
        assert!(answer["error"].is_null(), "{question}: {answer}");
        answer
    }

    /// Starts the server with offers, and returns its answer to a request without a payment.
    pub fn open(&mut self, offers: &Value) -> Value {
        self.ask(&json!({"open": true, "offers": offers}))
    }

    /// A buyer pays for a request under a key.
    pub fn buy(&mut self, buyer: &Value, key: &str) -> Value {
        let mut question = buyer.clone();
        question["key"] = json!(key);
        self.ask(&question)
    }

    /// A buyer sends a payment again.
    pub fn replay(&mut self, bought: &Value, key: &Value) -> Value {
        self.ask(&json!({"replay": bought["header"], "key": key}))
    }

    /// The transaction that used the payment's nonce.
    pub fn landed(&mut self, bought: &Value) -> Option<String> {
        let landed = self.ask(&json!({"landed": bought["nonce"]}));
        landed["hash"].as_str().map(str::to_owned)
    }

    /// [`stored`] in the shop's database.
    ///
    /// # Panics
    /// If there is none.
    pub fn stored(&mut self, bought: &Value) -> (String, String, Option<String>, bool) {
        stored(&mut self.superuser, bought)
    }

    /// One buyer pays through every answer of a facilitator, and sends the payment again.
    ///
    /// # Panics
    /// If anything is paid or delivered twice, or lost.
    pub fn sell_through_every_answer(&mut self, buyer: &Value, offers: &Value) {
        self.open(offers);
        for (behaviour, state, status, moved) in ANSWERS {
            let case = format!("{buyer} {offers} {behaviour}");
            self.ask(&json!({"behaviour": behaviour}));
            let bought = self.buy(buyer, behaviour);
            assert_eq!(bought["status"], status, "{case}: {bought}");
            assert!(bought["request"].is_object(), "{case}: OKX's headers");
            let (id, stored, ledger, is_listed) = self.stored(&bought);
            assert_eq!(stored, state, "{case}");
            let landed = self.landed(&bought);
            assert_eq!(landed.is_some(), moved, "{case}");
            // Money that moved is in the ledger, or in the list of payments to look up.
            let entered = landed.clone().filter(|_| state == "settled");
            assert_eq!(ledger, entered, "{case}");
            assert_eq!(is_listed, state != "settled", "{case}");
            self.check_receipts(&bought, state, landed.as_deref());
            assert_eq!(bought["retry"].is_string(), status == 503, "{case}");
            assert_eq!(bought["challenge"].is_object(), status == 402, "{case}");

            // The same payment again buys nothing twice, and is not sent to the facilitator again.
            let expected = if status == 200 { 409 } else { status };
            for (key, expected) in [
                (json!(behaviour), expected),
                (Value::Null, 409),
                (json!("another"), 409),
            ] {
                let again = self.replay(&bought, &key);
                assert_eq!(again["status"], expected, "{case} {key}: {again}");
                assert_eq!(again["request"], Value::Null, "{case} {key}");
            }
            // Neither can the buyer pay twice for one request.
            let anew = self.buy(buyer, behaviour);
            assert_eq!(anew["status"], 409, "{case}: {anew}");
            assert_eq!(self.landed(&anew), None, "{case}");

            // A payment that landed is entered by an operator, and delivered once.
            self.ask(&json!({"land": true}));
            if let (Some(hash), true) = (self.landed(&bought), state != "settled") {
                let resolve = "SELECT FROM insforge_integrations.resolve_x402_reservation($1::text::uuid, 'settled', $2)";
                self.superuser.query_one(resolve, &[&id, &hash]).unwrap();
                let served = self.replay(&bought, &json!(behaviour));
                assert_eq!(served["status"], 200, "{case}: {served}");
                self.check_receipts(&served, "settled", Some(&hash));
                let again = self.replay(&bought, &json!(behaviour));
                assert_eq!(again["status"], 409, "{case}");
            }
        }
        self.forget_keys();
    }

    /// The headers by which the buyer learns what became of the payment.
    fn check_receipts(&self, answer: &Value, state: &str, landed: Option<&str>) {
        let [receipt, version_1] = [&answer["receipts"][0], &answer["receipts"][1]];
        match state {
            "settled" => {
                assert_eq!(receipt["success"], true, "{answer}");
                assert_eq!(receipt["transaction"].as_str(), landed, "{answer}");
            }
            "failed" => {
                assert_eq!(receipt["success"], false, "{answer}");
                assert_eq!(receipt["errorReason"], "insufficient_funds", "{answer}");
            }
            _ => assert_eq!(receipt, &Value::Null, "{answer}"),
        }
        let expected = match answer["version"] == 1 {
            true => receipt,
            false => &Value::Null,
        };
        assert_eq!(version_1, expected, "{answer}");
    }

    /// The next buyer uses the same keys. All buyers here have one address.
    fn forget_keys(&mut self) {
        let forget = "UPDATE insforge_integrations.x402_reservations SET holds_key = false, idempotency_key = NULL";
        self.superuser.execute(forget, &[]).unwrap();
    }

    /// The ledger has what was signed and settled, to the last unit.
    ///
    /// # Panics
    /// If it has not.
    pub fn check_books(&mut self) {
        let books = self
            .superuser
            .query_one(
                "SELECT (SELECT sum(amount)::text FROM insforge_integrations.x402_totals),
                        (SELECT sum((r.payment::jsonb #>> '{payload,authorization,value}')::numeric)::text
                         FROM insforge_integrations.x402_reservations r WHERE r.state = 'settled'),
                        (SELECT count(*) FROM x402_payments), (SELECT count(*) FROM insforge_integrations.undelivered_x402_reservations)",
                &[],
            )
            .unwrap();
        let [total, signed]: [Option<String>; 2] = [books.get(0), books.get(1)];
        assert_eq!(total, signed);
        assert!(books.get::<_, i64>(2) > 0);
        assert_eq!(books.get::<_, i64>(3), 0);
    }
}
