//! One request, with the statements of InsForge's backend and PostgREST.

use postgres::{Client, Error, Transaction};

/// Runs `statements` in a transaction with a role and with `request.jwt.claims`, and commits.
///
/// # Errors
/// Whatever Postgres reports; the transaction is then rolled back.
pub fn request<T>(
    client: &mut Client,
    role: &str,
    claims: &str,
    statements: impl FnOnce(&mut Transaction) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut transaction = client.transaction()?;
    transaction.batch_execute(&format!("SET LOCAL ROLE {role}"))?;
    transaction.execute(
        "SELECT set_config('request.jwt.claims', $1, true)",
        &[&claims],
    )?;
    let result = statements(&mut transaction)?;
    transaction.commit()?;
    Ok(result)
}

/// The claims that InsForge's backend sends for a signed-in user.
#[must_use]
pub fn claims_of(user_id: &str) -> String {
    serde_json::json!({
        "sub": user_id,
        "role": "authenticated",
        "email": format!("{user_id}@example.com"),
    })
    .to_string()
}
