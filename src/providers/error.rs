//! Why a token, its provider or its claims are refused.

use crate::jwt::rejection::{Rejection, RejectionReason};
use crate::report::{Bug, Report, shown, sqlstate};

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The claims of the request are not a JSON document. `problem` names the place, not the
    /// content.
    #[error("request.jwt.claims is not valid JSON")]
    ClaimsNotJson {
        /// What the parser says: a reason, a line and a column.
        problem: String,
    },

    /// A claim that identifies somebody has U+0000, which no text in Postgres can have.
    #[error("claim \"{claim}\" contains the character U+0000")]
    ClaimContainsNul {
        /// Name of the claim.
        claim: &'static str,
    },

    /// The claims of the request are JSON, but `jsonb` cannot hold them.
    #[error("request.jwt.claims does not fit into jsonb")]
    ClaimsNotStorable {
        /// What Postgres refuses, a sentence.
        problem: &'static str,
    },

    /// The identity that this transaction was bound to has expired.
    #[error("the authenticated identity has expired")]
    IdentityExpired,

    /// The headers of the request are not in PostgREST's form.
    #[error("request.headers is not a JSON object")]
    HeadersNotJson,

    /// No request can have the role of anonymous requests, and this one has a provider's token.
    #[error("setting \"anon_role\" names a role that does not exist")]
    NobodyAnonymous {
        /// The setting.
        anon_role: String,
        /// The role of the request.
        role: String,
    },

    /// A request by another method than POST.
    #[error("{function}() is called by POST")]
    MethodNotAllowed {
        /// Name of the function.
        function: &'static str,
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

    /// A provider that cannot verify anything.
    #[error("identity provider \"{name}\" is not ready")]
    ProviderNotReady {
        /// Name of the provider.
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

    /// Another server did not give keys.
    #[error("the keys of an identity provider cannot be fetched")]
    KeysNotFetched {
        /// Why, a sentence.
        problem: String,
    },

    /// An issuer did not give its discovery document.
    #[error("the discovery document of an issuer cannot be fetched")]
    NotDiscovered {
        /// Why, a sentence.
        problem: String,
    },

    /// The library was built without feature `jwks-fetch`.
    #[error("this build cannot fetch keys")]
    FetchingNotBuilt,

    /// A token was read and refused.
    #[error("token rejected")]
    TokenRejected(#[from] Rejection),

    /// No secret to sign with is stored.
    #[error("no JWT secret is stored")]
    SecretMissing,

    /// A token was asked for that is not given to anybody.
    #[error("invalid request for a token")]
    InvalidTokenRequest {
        /// What is wrong with it, a sentence.
        problem: String,
    },

    /// A fault of this extension.
    #[error(transparent)]
    Bug(#[from] Bug),
}

impl Error {
    /// SQLSTATE, DETAIL and HINT.
    #[must_use]
    pub fn report(&self) -> Report {
        match self {
            Self::ClaimsNotJson { problem } => Report::new(
                sqlstate::INVALID_TEXT_REPRESENTATION,
                format!("The JSON parser reports: {problem}."),
                "Set it to a JSON object as PostgREST does, for example \
                 set_config('request.jwt.claims', '{\"sub\": \"user_1\"}', true).",
            ),
            Self::ClaimContainsNul { claim } => Report::new(
                sqlstate::INVALID_TEXT_REPRESENTATION,
                format!("The value of \"{claim}\" contains \\u0000, which no text value can hold."),
                "Refuse such an identifier where the token is issued.",
            ),
            Self::ClaimsNotStorable { problem } => Report::new(
                sqlstate::INVALID_TEXT_REPRESENTATION,
                *problem,
                "Refuse such claims where the token is issued. requesting_user_id() and its family read them all the same.",
            ),
            Self::IdentityExpired => Report::new(
                sqlstate::INVALID_AUTHORIZATION_SPECIFICATION,
                "expired: The token that authenticate() verified in this transaction has ended.",
                "Call insforge_integrations.authenticate() with a new token, or deauthenticate().",
            ),
            Self::HeadersNotJson => Report::new(
                sqlstate::INVALID_TEXT_REPRESENTATION,
                "PostgREST sets request.headers to a JSON object with the names in lower case.",
                "Call pre_request() as PostgREST's db-pre-request.",
            ),
            Self::NobodyAnonymous { anon_role, role } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!(
                    "The request has a provider's token and role {}. There is no role {}, so pre_request() would take no request for one without a token.",
                    shown(role),
                    shown(anon_role)
                ),
                "As a superuser, call insforge_integrations.configure('anon_role', …) with PostgREST's db-anon-role.",
            ),
            Self::MethodNotAllowed { .. } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                "With another method the token would be in the address, and in logs.",
                "Send the arguments as the JSON body of a POST.",
            ),
            Self::InvalidRegistration { problem } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                problem.as_str(),
                "See docs/providers.md for what each provider needs. Nothing was changed.",
            ),
            Self::UnknownProvider { name } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!("There is no provider {}.", shown(name)),
                "Table insforge_integrations.auth_providers lists the providers. The functions register_… add them.",
            ),
            Self::ProviderNotReady { problem, .. } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                problem.as_str(),
                "See docs/providers.md for what a provider needs before its tokens verify.",
            ),
            Self::InvalidKeySet { problem } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!("{problem} The keys stored before are unchanged."),
                "Give the JWK set as the provider publishes it, with its public keys.",
            ),
            Self::KeysElsewhere { problem } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!("{problem} Nothing was changed."),
                "Register the provider with the address of its JWK set, or give the set with set_provider_jwks().",
            ),
            Self::KeysNotFetched { problem } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("{problem} The keys stored before are unchanged."),
                "Give the keys with insforge_integrations.set_provider_jwks() meanwhile.",
            ),
            Self::NotDiscovered { problem } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("{problem} Nothing was changed."),
                "If this server cannot reach the issuer, look the address of its keys up elsewhere. Then call insforge_integrations.register_auth_provider() with it as jwks_url, and set_provider_jwks().",
            ),
            Self::FetchingNotBuilt => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "The library was built without the cargo feature jwks-fetch.",
                "Register an issuer by register_auth_provider(). Fetch its JWK set elsewhere and call insforge_integrations.set_provider_jwks().",
            ),
            Self::TokenRejected(rejection) => Report::new(
                match rejection.reason {
                    RejectionReason::Malformed | RejectionReason::TooLarge => {
                        sqlstate::INVALID_TEXT_REPRESENTATION
                    }
                    _ => sqlstate::INVALID_AUTHORIZATION_SPECIFICATION,
                },
                rejection.to_string(),
                "insforge_integrations.inspect_provider_jwt() explains without raising; docs/providers.md lists the reasons.",
            ),
            Self::SecretMissing => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "Tokens must be signed with the secret with which InsForge verifies them.",
                "As a superuser, call insforge_integrations.set_jwt_secret() with the JWT_SECRET of InsForge's environment, 32 bytes or more.",
            ),
            Self::InvalidTokenRequest { problem } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                problem.as_str(),
                "Set role, audience and lifetime with configure(); give other claims as a JSON object.",
            ),
            Self::Bug(bug) => bug.report(),
        }
    }
}
