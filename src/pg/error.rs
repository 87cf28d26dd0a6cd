//! The one mapping of [`Error`] to SQLSTATE, DETAIL and HINT.

use pgrx::PgLogLevel;
use pgrx::PgSqlErrorCode::{
    self, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, ERRCODE_INTERNAL_ERROR,
    ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, ERRCODE_INVALID_PARAMETER_VALUE,
    ERRCODE_INVALID_TEXT_REPRESENTATION, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
    ERRCODE_UNDEFINED_FUNCTION, ERRCODE_UNDEFINED_TABLE, ERRCODE_UNIQUE_VIOLATION,
    ERRCODE_WRONG_OBJECT_TYPE,
};
use pgrx::pg_sys::panic::ErrorReport;

use crate::error::{Error, shown};
use crate::jwt::rejection::Reason;
use crate::settings;

/// What everything in the glue returns.
pub type Result<T> = std::result::Result<T, Error>;

/// The boundary.
pub mod reported {
    /// What a `#[pg_extern]` returns: an `Err` keeps its SQLSTATE only as exactly this type, and pgrx finds the rows of
    /// a set only in a type that is called `Result`.
    pub type Result<T> = std::result::Result<T, super::ErrorReport>;
}

impl From<Error> for ErrorReport {
    fn from(error: Error) -> Self {
        let (code, detail, hint): (PgSqlErrorCode, String, String) = match &error {
            Error::ClaimsNotJson { problem } => (
                ERRCODE_INVALID_TEXT_REPRESENTATION,
                format!("The JSON parser reports: {problem}."),
                "Set it to a JSON object as PostgREST does, for example \
                 set_config('request.jwt.claims', '{\"sub\": \"user_1\"}', true)."
                    .to_owned(),
            ),
            Error::ClaimContainsNul { claim } => (
                ERRCODE_INVALID_TEXT_REPRESENTATION,
                format!("The value of \"{claim}\" contains \\u0000, which no text value can hold."),
                "Refuse such an identifier where the token is issued.".to_owned(),
            ),
            Error::UnknownSetting { name } => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("There is no setting {}.", shown(name)),
                format!("Settings: {}.", settings::names()),
            ),
            Error::InvalidSettingValue { name, accepts, .. } => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("The setting \"{name}\" does not take this value; nothing was changed."),
                format!("Values: {accepts}. NULL returns to the default."),
            ),
            Error::InvalidTokenRole { problem, .. } => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("{problem} Nothing was changed."),
                "Give a role for which row level security holds: no superuser, without BYPASSRLS, and a member of no such role. NULL returns to the default, authenticated.".to_owned(),
            ),
            Error::StoredSettingInvalid { name, value, accepts } => (
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("Table insforge_integrations.settings holds {} for it.", shown(value)),
                format!(
                    "As a superuser, call insforge_integrations.configure('{name}', …) with one of: {accepts}."
                ),
            ),
            Error::InvalidRegistration { problem } => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                problem.clone(),
                "See docs/providers.md for what each provider needs. Nothing was changed.".to_owned(),
            ),
            Error::UnknownProvider { name } => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("There is no provider {}.", shown(name)),
                "Providers are rows of insforge_integrations.auth_providers; the functions register_… make them."
                    .to_owned(),
            ),
            Error::ProviderNotReady { problem, .. } => (
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                problem.clone(),
                "See docs/providers.md for what a provider needs before its tokens verify.".to_owned(),
            ),
            Error::InvalidKeySet { problem } => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("{problem} The keys stored before are unchanged."),
                "Give the JWK set as the provider publishes it, with its public keys.".to_owned(),
            ),
            Error::KeysElsewhere { problem } => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("{problem} Nothing was changed."),
                "Register the provider with the address of its JWK set, or give the set with set_provider_jwks().".to_owned(),
            ),
            Error::KeysNotFetched { problem } => (
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("{problem} The keys stored before are unchanged."),
                "Give the keys with insforge_integrations.set_provider_jwks() meanwhile.".to_owned(),
            ),
            Error::TokenRejected(rejection) => (
                match rejection.reason {
                    Reason::Malformed | Reason::TooLarge => ERRCODE_INVALID_TEXT_REPRESENTATION,
                    _ => ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
                },
                rejection.to_string(),
                "insforge_integrations.inspect_provider_jwt() explains without raising; docs/providers.md lists the reasons."
                    .to_owned(),
            ),
            Error::FetchingNotBuilt => (
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "The library was built without the cargo feature jwks-fetch.".to_owned(),
                "Fetch the JWK set elsewhere and call insforge_integrations.set_provider_jwks().".to_owned(),
            ),
            Error::SecretMissing => (
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "Tokens are signed with the secret that InsForge verifies them with.".to_owned(),
                "As a superuser, call insforge_integrations.set_jwt_secret() with the JWT_SECRET of InsForge's environment, 32 bytes or more."
                    .to_owned(),
            ),
            Error::InvalidTokenRequest { problem } => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                problem.clone(),
                "Set role, audience and lifetime with configure(); give other claims as a JSON object.".to_owned(),
            ),
            Error::Bug { .. } => (
                ERRCODE_INTERNAL_ERROR,
                "Nothing was changed.".to_owned(),
                "Please report this.".to_owned(),
            ),
            Error::MethodNotAllowed { .. } => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                "By another method the token would stand in the address, and so in logs.".to_owned(),
                "Send the arguments as the JSON body of a POST.".to_owned(),
            ),
            Error::HeadersNotJson => (
                ERRCODE_INVALID_TEXT_REPRESENTATION,
                "PostgREST sets request.headers to a JSON object with the names in lower case.".to_owned(),
                "Call pre_request() as PostgREST's db-pre-request.".to_owned(),
            ),
            Error::InvalidAddress { problem } => (
                ERRCODE_INVALID_TEXT_REPRESENTATION,
                (*problem).to_owned(),
                "Give it in lower case, or as a wallet shows it, 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed.".to_owned(),
            ),
            Error::InvalidDigest { length } => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("It has {length} bytes; a hash has 32."),
                "Sign and recover the hash of a message: eip712_digest() makes that of typed data.".to_owned(),
            ),
            Error::InvalidSignature(refused) => (
                ERRCODE_INVALID_TEXT_REPRESENTATION,
                refused.problem.to_owned(),
                refused.hint.to_owned(),
            ),
            Error::SignedByNobody => (
                ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
                "No key makes this signature of this digest: its r is no point of secp256k1.".to_owned(),
                "Give the signature as the wallet returned it.".to_owned(),
            ),
            Error::InvalidTransactionHash => (
                ERRCODE_INVALID_TEXT_REPRESENTATION,
                "A transaction hash is 0x and 64 hexadecimal digits, and not all zeros.".to_owned(),
                "Give it as the facilitator returned it.".to_owned(),
            ),
            Error::InvalidHeader { problem } => (
                ERRCODE_INVALID_TEXT_REPRESENTATION,
                problem.clone(),
                "Give the value of PAYMENT-SIGNATURE, X-PAYMENT or another x402 header as it came: JSON in base64.".to_owned(),
            ),
            Error::InvalidRequirements { problem } => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                problem.clone(),
                "insforge_integrations.x402_payment_requirements() makes them; docs/payments.md says what they hold.".to_owned(),
            ),
            Error::UnknownNetwork { name } => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("View insforge_integrations.x402_networks has no network, name or v1_network {}.", shown(name)),
                "As a superuser, call insforge_integrations.register_x402_network() for another chain.".to_owned(),
            ),
            Error::UnknownAsset { network, known, .. } => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                match known.as_str() {
                    "" => format!("View insforge_integrations.x402_assets has no asset on {network}."),
                    _ => format!("Assets on {network}: {known}."),
                },
                "As a superuser, call insforge_integrations.register_x402_asset() with the token's contract and the domain it signs under.".to_owned(),
            ),
            Error::UnknownFacilitator { name } => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                format!("No facilitator is called {}.", shown(name)),
                "Facilitators: okx, and x402 for any that takes the protocol's own requests.".to_owned(),
            ),
            Error::PaymentRejected(refusal) => (
                match refusal.reason {
                    crate::x402::refusal::InvalidReason::InvalidPayload => ERRCODE_INVALID_TEXT_REPRESENTATION,
                    _ => ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
                },
                format!("{}: {}", refusal.reason.name(), refusal.message),
                "Nothing was reserved. insforge_integrations.verify_x402_payment() explains without raising.".to_owned(),
            ),
            Error::ReservationRefused(refused) => (
                match refused.sqlstate() {
                    "23505" => ERRCODE_UNIQUE_VIOLATION,
                    "55000" => ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                    _ => ERRCODE_INVALID_PARAMETER_VALUE,
                },
                refused.detail(),
                refused.hint().to_owned(),
            ),
            Error::InvalidAmount => (
                ERRCODE_INVALID_TEXT_REPRESENTATION,
                "An amount is a text of decimal digits, in the token's smallest unit.".to_owned(),
                "Give it as the buyer signed it, \"10000\" for 0.01 of a token with 6 decimals.".to_owned(),
            ),
            Error::AmountOutOfRange => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                "An amount is 0 or more and below 2^256.".to_owned(),
                "Give it as the buyer signed it.".to_owned(),
            ),
            Error::NotSettled { .. } => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                "The ledger holds what was settled on chain, and nothing else.".to_owned(),
                "Record it once it has settled; reserve_x402_payment() keeps a payment whose outcome is not known.".to_owned(),
            ),
            Error::EndpointMissing => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                "Each settlement says what was paid for.".to_owned(),
                "Give the address that the buyer asked for.".to_owned(),
            ),
            Error::AlreadyRecorded { recorded_at, differences, .. } => (
                ERRCODE_UNIQUE_VIOLATION,
                match differences.as_str() {
                    "" => format!("The stored row, recorded at {recorded_at}, is identical."),
                    _ => format!("The stored row, recorded at {recorded_at}, differs in: {differences}."),
                },
                match differences.as_str() {
                    "" => "Call it with idempotent => true to be given the stored row instead.".to_owned(),
                    _ => "One transaction is one payment. With idempotent => true an identical call is given the stored row; this one is not identical.".to_owned(),
                },
            ),
            Error::NotRecorded { .. } => (
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "The row was inserted and is not there: a trigger or rule on insforge_integrations.x402_settlements took it away.".to_owned(),
                "Drop that trigger or rule and record the transaction again; the money has moved.".to_owned(),
            ),
            Error::LedgerNotEmpty { content } => (
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                content.clone(),
                "Dump the database first. Then, as a superuser: SELECT insforge_integrations.configure('allow_ledger_drop', 'on').".to_owned(),
            ),
            Error::NotImportable { .. } => (
                ERRCODE_WRONG_OBJECT_TYPE,
                "It is not an ordinary table with columns of built-in types alone: reading it could run code of its owner's as a superuser.".to_owned(),
                "Copy its rows into an ordinary table and import that.".to_owned(),
            ),
            Error::SourceMissing => (
                ERRCODE_UNDEFINED_TABLE,
                "No table of this database has the OID that was given.".to_owned(),
                "Give the table's name: import_x402_payments('public.x402_payments_guide').".to_owned(),
            ),
            Error::FunctionMissing => (
                ERRCODE_UNDEFINED_FUNCTION,
                "No function of this database has the OID that was given.".to_owned(),
                "Create realtime.publish(text, text, jsonb) again, or switch the setting realtime off.".to_owned(),
            ),
            Error::InvalidTypedData(invalid) => (
                ERRCODE_INVALID_PARAMETER_VALUE,
                invalid.to_string(),
                "Give what the wallet was given: {types, primaryType, domain, message} of eth_signTypedData_v4. docs/payments.md says what is refused.".to_owned(),
            ),
            Error::NotUtf8 { problem } => (
                ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
                format!("The reader reports: {problem}."),
                "The extension works in databases whose encoding is UTF8. Set the value again from a client whose client_encoding is right.".to_owned(),
            ),
            Error::NotATrigger { .. } => (
                PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                "It is a trigger function, which Postgres calls.".to_owned(),
                "Run a statement that fires the trigger.".to_owned(),
            ),
            Error::IdentityExpired => (
                ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
                "expired: The token that authenticate() verified in this transaction has ended.".to_owned(),
                "Call insforge_integrations.authenticate() with a new token, or deauthenticate().".to_owned(),
            ),
            Error::TableMissing { .. } => (
                ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "The library is loaded, but its tables are not in this database.".to_owned(),
                "Run CREATE EXTENSION insforge_integrations, or ALTER EXTENSION insforge_integrations UPDATE."
                    .to_owned(),
            ),
        };
        Self::new(code, error.to_string(), "insforge_integrations")
            .set_detail(detail)
            .set_hint(hint)
    }
}

impl Error {
    /// Raises it, for functions that cannot return one. Called where pgrx guards the frame.
    pub fn raise(self) {
        ErrorReport::from(self).report(PgLogLevel::ERROR);
    }
}
