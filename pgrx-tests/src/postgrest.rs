//! One request as PostgREST 12 puts it to the database.

use postgres::{Client, Error, Transaction};
use serde_json::{Value, json};

/// What PostgREST knows of a request.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The role that the token of the Authorization header gives.
    pub role: &'a str,
    /// That token's claims, besides the role.
    pub claims: Value,
    /// The HTTP method.
    pub method: &'a str,
    /// Further headers, names in lower case.
    pub headers: Value,
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
            pre_request: None,
        }
    }
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
        let merged = |base: Value, more: &Value| {
            let mut members = base.as_object().cloned().unwrap_or_default();
            members.extend(more.as_object().cloned().unwrap_or_default());
            Value::Object(members).to_string()
        };
        let claims = merged(json!({"role": self.role}), &self.claims);
        let headers = merged(
            json!({"host": "localhost:3000", "accept": "*/*", "content-type": "application/json"}),
            &self.headers,
        );
        let mut transaction = client
            .build_transaction()
            .read_only(matches!(self.method, "GET" | "HEAD"))
            .start()?;
        transaction.execute(
            "select set_config('search_path', $1, true), set_config('role', $2, true),
                    set_config('request.jwt.claims', $3, true), set_config('request.method', $4, true),
                    set_config('request.path', $5, true), set_config('request.headers', $6, true),
                    set_config('request.cookies', $7, true)",
            &[&"\"public\"", &self.role, &claims, &self.method, &"/rpc/x", &headers, &"{}"],
        )?;
        if let Some(function) = self.pre_request {
            transaction.execute(&format!("select {function}()"), &[])?;
        }
        let result = query(&mut transaction)?;
        transaction.commit()?;
        Ok(result)
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
