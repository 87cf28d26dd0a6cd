//! A seller's database, and a buyer.

use super::*;

pub(crate) struct Shop {
    database: Database<'static>,
    pub superuser: Client,
    pub client: Client,
    pub buyer: Buyer,
    transactions: u64,
}

#[derive(Debug, PartialEq)]
pub(crate) struct State {
    pub state: String,
    pub tx_hash: Option<String>,
    pub reason: Option<String>,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let (database, mut client) = database();
        Self {
            superuser: database.connect().unwrap(),
            buyer: Buyer::new(&mut client),
            database,
            client,
            transactions: 0,
        }
    }

    pub(crate) fn reserve(
        &mut self,
        payment: &str,
        key: Option<&str>,
    ) -> Result<(String, bool), postgres::Error> {
        let row = self.client.query_one(
            "SELECT reservation_id::text, is_new FROM reserve_x402_payment($1, $2, $3, $4)",
            &[&payment, &self.buyer.requirements, &ENDPOINT, &key],
        )?;
        Ok((row.get(0), row.get(1)))
    }

    /// Reserves a new payment, and returns its signer.
    pub(crate) fn reserved(&mut self) -> (String, String) {
        let (payment, payer) = self.buyer.pay();
        (self.reserve(&payment, None).unwrap().0, payer)
    }

    pub(crate) fn new_hash(&mut self) -> String {
        self.transactions += 1;
        hash(self.transactions)
    }

    pub(crate) fn settle(&mut self, id: &str, answer: &Value) -> State {
        let row = self
            .client
            .query_one(
                "SELECT state, tx_hash, reason FROM settle_x402_reservation($1::text::uuid, $2)",
                &[&id, answer],
            )
            .unwrap();
        State {
            state: row.get(0),
            tx_hash: row.get(1),
            reason: row.get(2),
        }
    }

    pub(crate) fn database(&self) -> &Database<'static> {
        &self.database
    }

    pub(crate) fn config(&self) -> postgres::Config {
        self.database.config()
    }

    /// The payment in a header.
    pub(crate) fn decoded(&mut self, header: &str) -> Value {
        let decode = "SELECT insforge_integrations.x402_decode_header($1)";
        self.client.query_one(decode, &[&header]).unwrap().get(0)
    }

    pub(crate) fn resolve(
        &mut self,
        id: &str,
        outcome: &str,
        hash: Option<&str>,
    ) -> Result<String, postgres::Error> {
        let row = self.client.query_one(
            "SELECT state FROM insforge_integrations.resolve_x402_reservation($1::text::uuid, $2, $3, 'looked up')",
            &[&id, &outcome, &hash],
        )?;
        Ok(row.get(0))
    }

    pub(crate) fn ledger(&mut self, hash: &str) -> usize {
        self.client
            .query("SELECT FROM x402_payments WHERE tx_hash = $1", &[&hash])
            .unwrap()
            .len()
    }

    pub(crate) fn is_listed(&mut self, id: &str) -> bool {
        let rows = self.client.query(
            "SELECT FROM insforge_integrations.unsettled_x402_reservations WHERE reservation_id::text = $1",
            &[&id],
        );
        rows.unwrap().len() == 1
    }

    /// Sets the end of an authorization so far back that it cannot land any more.
    pub(crate) fn expire(&mut self, id: &str) {
        self.superuser
            .execute(
                "UPDATE insforge_integrations.x402_reservations SET valid_before = now() - interval '301 seconds' WHERE id::text = $1",
                &[&id],
            )
            .unwrap();
    }
}
