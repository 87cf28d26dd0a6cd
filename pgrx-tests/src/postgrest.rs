//! One request with PostgREST 12's statements, and with PostgREST's known faults.

use postgres::{Client, Error, GenericClient, Transaction};
use serde_json::{Map, Value, json};

/// A request, for PostgREST.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The role in the token of the Authorization header.
    pub role: &'a str,
    /// That token's claims, besides the role.
    pub claims: Value,
    /// The HTTP method.
    pub method: &'a str,
    /// Other headers, with names in lower case. An array is a header that was sent several times.
    pub headers: Value,
    /// Cookies by their names.
    pub cookies: Value,
    /// The function in `db-pre-request`.
    pub pre_request: Option<&'a str>,
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            role: "anon",
            claims: json!({}),
            method: "POST",
            headers: json!({}),
            cookies: json!({}),
            pre_request: None,
        }
    }
}

fn merged(base: Value, more: &Value) -> Map<String, Value> {
    let mut members = base.as_object().cloned().unwrap_or_default();
    members.extend(more.as_object().cloned().unwrap_or_default());
    members
}

impl Request<'_> {
    /// Serves the request: PostgREST's statements, then `query`, then the end of the transaction.
    ///
    /// # Errors
    /// Whatever Postgres reports; the transaction is then rolled back.
    pub fn serve<T>(
        &self,
        client: &mut Client,
        query: impl FnOnce(&mut Transaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut transaction = client
            .build_transaction()
            .read_only(matches!(self.method, "GET" | "HEAD"))
            .start()?;
        self.announce(&mut transaction)?;
        let result = query(&mut transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// Begins to serve the request and leaves its transaction open. PostgREST 12 and 14 leave a
    /// pooled connection in this state when an exception of their own ends a request after its
    /// pre-request.
    ///
    /// # Errors
    /// Whatever Postgres reports; the transaction is then rolled back.
    pub fn leave_open(&self, client: &mut Client) -> Result<(), Error> {
        client.batch_execute("BEGIN")?;
        let announced = self.announce(client);
        if announced.is_err() {
            client.batch_execute("ROLLBACK")?;
        }
        announced
    }

    /// Sets the request's settings, and calls the function in `db-pre-request`.
    fn announce(&self, client: &mut impl GenericClient) -> Result<(), Error> {
        let claims = Value::Object(merged(json!({"role": self.role}), &self.claims));
        let mut headers = merged(
            json!({"host": "localhost:3000", "accept": "*/*", "content-type": "application/json"}),
            &self.headers,
        );
        for value in headers.values_mut() {
            if let Some(last) = value.as_array().and_then(|values| values.last()) {
                *value = last.clone();
            }
        }
        client.execute(
            "select set_config('search_path', $1, true), set_config('role', $2, true),
                    set_config('request.jwt.claims', $3, true), set_config('request.method', $4, true),
                    set_config('request.path', $5, true), set_config('request.headers', $6, true),
                    set_config('request.cookies', $7, true)",
            &[
                &"\"public\"",
                &self.role,
                &claims.to_string(),
                &self.method,
                &"/rpc/x",
                &Value::Object(headers).to_string(),
                &self.cookies.to_string(),
            ],
        )?;
        if let Some(function) = self.pre_request {
            client.execute(&format!("select {function}()"), &[])?;
        }
        Ok(())
    }

    /// Calls `exchange_provider_token` by RPC.
    ///
    /// # Errors
    /// Whatever Postgres reports.
    pub fn exchange(
        &self,
        client: &mut Client,
        token: &str,
        provider: Option<&str>,
    ) -> Result<Value, Error> {
        self.serve(client, |transaction| {
            let row = transaction.query_one(
                "SELECT * FROM \"public\".\"exchange_provider_token\"(\"token\" := $1, \"provider\" := $2)",
                &[&token, &provider],
            )?;
            Ok(row.get(0))
        })
    }
}
