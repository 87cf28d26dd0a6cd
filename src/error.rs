//! Everything that can go wrong, in one enum. The mapping to SQLSTATE, DETAIL and HINT is in
//! `pg::error`; the text here is the primary message, in Postgres' style.

/// An input as a message may show it: in quotes if it is plainly a name.
///
/// Anything else could be a token, a payment or a secret that was given in a name's place: those
/// are longer than any name here, and most contain other characters.
#[must_use]
pub fn shown(input: &str) -> String {
    let is_name = input.len() <= 20
        && input.starts_with(|first: char| first.is_ascii_alphabetic())
        && input
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
    if is_name || input.is_empty() {
        format!("\"{input}\"")
    } else {
        "(not shown: it is no name)".to_owned()
    }
}

/// A symbol, or a contract's address, which is no secret.
fn shown_asset(asset: &str) -> String {
    match crate::evm::address::Address::parse(asset) {
        Ok(_) => format!("\"{asset}\""),
        Err(_) => shown(asset),
    }
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The claims of the request are not a JSON document. `problem` names the place, not the content.
    #[error("request.jwt.claims is not valid JSON")]
    ClaimsNotJson {
        /// What the parser says: a reason, a line and a column.
        problem: String,
    },

    /// A claim that identifies somebody holds U+0000, which text in Postgres cannot.
    #[error("claim \"{claim}\" contains the character U+0000")]
    ClaimContainsNul {
        /// Name of the claim.
        claim: &'static str,
    },

    /// `configure()` was given a name that is no setting.
    #[error("unrecognized setting {}", shown(.name))]
    UnknownSetting {
        /// The name as given.
        name: String,
    },

    /// A setting was given a value it does not take.
    #[error("invalid value for setting \"{name}\": {}", shown(.value))]
    InvalidSettingValue {
        /// Name of the setting.
        name: &'static str,
        /// The value as given.
        value: String,
        /// The values it takes, for the HINT.
        accepts: &'static str,
    },

    /// A role that tokens of users must not have.
    #[error("invalid value for setting \"token_role\": {}", shown(.role))]
    InvalidTokenRole {
        /// The role as given.
        role: String,
        /// What is wrong with it, a sentence.
        problem: String,
    },

    /// The settings table holds a value that no version of `configure()` of this library writes.
    #[error("the stored value of setting \"{name}\" is invalid")]
    StoredSettingInvalid {
        /// Name of the setting.
        name: &'static str,
        /// The value as stored.
        value: String,
        /// The values it takes, for the HINT.
        accepts: &'static str,
    },

    /// A table of the extension is not there.
    #[error("table insforge_integrations.{table} is missing")]
    TableMissing {
        /// Name of the table.
        table: &'static str,
    },

    /// A provider cannot be registered as asked.
    #[error("invalid registration of an identity provider")]
    InvalidRegistration {
        /// What is wrong, a sentence.
        problem: String,
    },

    /// No provider has this name.
    #[error("unknown identity provider {}", shown(.name))]
    UnknownProvider {
        /// The name as given.
        name: String,
    },

    /// A provider is there but cannot verify anything.
    #[error("identity provider \"{name}\" is not ready")]
    ProviderNotReady {
        /// Its name.
        name: String,
        /// What is missing, a sentence.
        problem: String,
    },

    /// A JWK set is refused as a whole.
    #[error("invalid JWK set")]
    InvalidKeySet {
        /// What is wrong with it, a sentence.
        problem: String,
    },

    /// A provider whose keys are not stored with it, or have no address.
    #[error("invalid JWK set")]
    KeysElsewhere {
        /// Where they are, a sentence.
        problem: &'static str,
    },

    /// Another server was asked for keys and gave none.
    #[error("the keys of an identity provider cannot be fetched")]
    KeysNotFetched {
        /// What came of it, a sentence.
        problem: String,
    },

    /// A token was read and refused.
    #[error("token rejected")]
    TokenRejected(crate::jwt::rejection::Rejection),

    /// The library was built without feature `jwks-fetch`.
    #[error("this build cannot fetch keys")]
    FetchingNotBuilt,

    /// No secret to sign with is stored.
    #[error("no JWT secret is stored")]
    SecretMissing,

    /// A token was asked for that is not to be had.
    #[error("invalid request for a token")]
    InvalidTokenRequest {
        /// What is wrong with it, a sentence.
        problem: String,
    },

    /// What must not happen.
    #[error("{problem}")]
    Bug {
        /// What the library says.
        problem: String,
    },

    /// A request by another method than POST.
    #[error("{function}() is called by POST")]
    MethodNotAllowed {
        /// Name of the function.
        function: &'static str,
    },

    /// The headers of the request are not what PostgREST makes them.
    #[error("request.headers is not a JSON object")]
    HeadersNotJson,

    /// Text that is no address.
    #[error("invalid address")]
    InvalidAddress {
        /// What is wrong with it, a sentence.
        problem: &'static str,
    },

    /// Bytes that are not the hash of anything.
    #[error("invalid digest")]
    InvalidDigest {
        /// How many they are.
        length: usize,
    },

    /// Text that is no signature.
    #[error("invalid signature")]
    InvalidSignature(crate::evm::signature::NotASignature),

    /// A signature that no key makes.
    #[error("signature rejected")]
    SignedByNobody,

    /// Text that is no hash of a transaction.
    #[error("invalid transaction hash")]
    InvalidTransactionHash,

    /// Text that is no x402 header, nor the JSON of one.
    #[error("invalid x402 header")]
    InvalidHeader {
        /// What else it is, a sentence.
        problem: String,
    },

    /// What a seller asks for is not to be had.
    #[error("invalid x402 payment requirements")]
    InvalidRequirements {
        /// What is wrong with it, with its place, a sentence.
        problem: String,
    },

    /// No network has this name.
    #[error("unknown x402 network {}", shown(.name))]
    UnknownNetwork {
        /// The name as given.
        name: String,
    },

    /// The network has no asset of this name.
    #[error("unknown x402 asset {} on {network}", shown_asset(.asset))]
    UnknownAsset {
        /// The symbol or contract as given.
        asset: String,
        /// The network's identifier.
        network: String,
        /// The symbols that there are.
        known: String,
    },

    /// No facilitator has this name.
    #[error("unknown x402 facilitator {}", shown(.name))]
    UnknownFacilitator {
        /// The name as given.
        name: String,
    },

    /// A payment that was read and refused.
    #[error("payment rejected")]
    PaymentRejected(crate::x402::refusal::PaymentRefusal),

    /// What happened to a reservation cannot be.
    #[error(transparent)]
    ReservationRefused(#[from] crate::x402::reservation::Refused),

    /// Text that is no amount.
    #[error("invalid amount")]
    InvalidAmount,

    /// An integer that no token can count to.
    #[error("amount out of range")]
    AmountOutOfRange,

    /// A payment that has not moved is to be recorded.
    #[error("a settlement of status {} cannot be recorded", shown(.status))]
    NotSettled {
        /// The status as given.
        status: String,
    },

    /// A settlement names nothing that was paid for.
    #[error("no endpoint is given")]
    EndpointMissing,

    /// The ledger has the transaction.
    #[error("transaction {tx_hash} is recorded already")]
    AlreadyRecorded {
        /// Its hash.
        tx_hash: String,
        /// When it was recorded.
        recorded_at: String,
        /// The columns in which the stored row differs from what was given, separated by commas.
        differences: String,
    },

    /// The ledger took a row and has none.
    #[error("transaction {tx_hash} was not recorded")]
    NotRecorded {
        /// Its hash.
        tx_hash: String,
    },

    /// Somebody is about to drop the ledger.
    #[error("the x402 ledger is not empty")]
    LedgerNotEmpty {
        /// What would be lost, a sentence.
        content: String,
    },

    /// A table that cannot be imported.
    #[error("table {table} cannot be imported")]
    NotImportable {
        /// Its name.
        table: String,
    },

    /// There is no table to import.
    #[error("the table to import does not exist")]
    SourceMissing,

    /// A function that is to be called is not there.
    #[error("the function to call does not exist")]
    FunctionMissing,

    /// A document that is not typed data.
    #[error("invalid EIP-712 typed data")]
    InvalidTypedData(crate::eip712::Invalid),

    /// A text that Postgres gave is not what its encoding says.
    #[error("a text of this database or session is not valid UTF-8")]
    NotUtf8 {
        /// What the reader says: a place.
        problem: String,
    },

    /// A trigger function was called in a query.
    #[error("{function}() was not called as a trigger")]
    NotATrigger {
        /// Name of the function.
        function: &'static str,
    },

    /// The identity that this transaction was bound to has expired.
    #[error("the authenticated identity has expired")]
    IdentityExpired,
}

impl From<crate::jwt::rejection::Rejection> for Error {
    fn from(rejection: crate::jwt::rejection::Rejection) -> Self {
        Self::TokenRejected(rejection)
    }
}

impl Error {
    /// What must not happen.
    pub fn bug(problem: impl std::fmt::Display) -> Self {
        Self::Bug {
            problem: problem.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, shown};

    #[test]
    fn names_are_shown() {
        for name in [
            "",
            "clerk",
            "better_auth",
            "eip155:84532",
            "USDC.e",
            "x-token",
        ] {
            assert_eq!(shown(name), format!("\"{name}\""));
        }
        let asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e".to_owned();
        let unknown = Error::UnknownAsset {
            asset: asset.clone(),
            network: "eip155:1".to_owned(),
            known: String::new(),
        };
        assert!(unknown.to_string().contains(&asset));
    }

    /// A JWT, a session's token, secrets as `openssl rand -hex` and `-base64` make them, an address
    /// with a password, a one-time code, half a payment.
    #[test]
    fn what_could_be_a_secret_is_not_shown() {
        for secret in [
            "eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpUMN_a9IV7pAx_Zmeo",
            "Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1",
            "d41d8cd98f00b204e9800998ecf8427e",
            "kqGm2RkNd7W/bYc3LfZa9w==",
            "https://a:b@c.example",
            "314159",
            "{\"payload\": 1}",
            "a\nb",
        ] {
            assert_eq!(shown(secret), "(not shown: it is no name)", "{secret}");
        }
    }
}
