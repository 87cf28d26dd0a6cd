//! x402 payments in SQL.

use std::rc::Rc;

use pgrx::prelude::*;
use serde_json::json;

use crate::error::Error;
use crate::evm::hexadecimal;
use crate::evm::integer::{U256, digits};
use crate::pg::error::{Result, reported};
use crate::pg::sys::clock;
use crate::pg::sys::heap_scan::Rows;
use crate::pg::sys::jsonb::Jsonb;
use crate::pg::sys::table_cache::TableCache;
use crate::x402;
use crate::x402::challenge::challenge;
use crate::x402::facilitator;
use crate::x402::header::{self, Resource};
use crate::x402::registry::{Assets, Networks, Registry};
use crate::x402::requirements::RequirementsArguments;
use crate::x402::verify::{Payer, UNCHECKED, verify};

pub(crate) static NETWORKS: TableCache<Networks> =
    TableCache::new(c"x402_network_entries", |rows: &Rows| {
        Ok(Networks::new(rows.parse()?))
    });
pub(crate) static ASSETS: TableCache<Assets> =
    TableCache::new(c"x402_asset_entries", |rows: &Rows| {
        Ok(Assets::new(rows.parse()?))
    });

/// The present networks and assets.
pub(super) struct CurrentRegistry {
    networks: Rc<Networks>,
    assets: Rc<Assets>,
}

impl CurrentRegistry {
    pub(super) fn load() -> Result<Self> {
        Ok(Self {
            networks: NETWORKS.current()?,
            assets: ASSETS.current()?,
        })
    }

    pub(super) fn registry(&self) -> Registry<'_> {
        Registry {
            networks: &self.networks,
            assets: &self.assets,
        }
    }
}

/// The seller's requirements.
#[pg_extern(
    name = "x402_payment_requirements",
    schema = "insforge_integrations",
    stable,
    parallel_safe
)]
#[allow(clippy::too_many_arguments)]
fn payment_requirements(
    pay_to: Option<&str>,
    amount: Option<&str>,
    resource: default!(Option<&str>, "NULL"),
    description: default!(Option<&str>, "''"),
    asset: default!(Option<&str>, "'USDG'"),
    network: default!(Option<&str>, "'xlayer'"),
    max_timeout_seconds: default!(Option<i32>, "300"),
    mime_type: default!(Option<&str>, "'application/json'"),
    version: default!(Option<i32>, "1"),
    scheme: default!(Option<&str>, "'exact'"),
    transfer_method: default!(Option<&str>, "NULL"),
    facilitator_address: default!(Option<&str>, "NULL"),
) -> reported::Result<Jsonb> {
    let arguments = RequirementsArguments {
        pay_to: pay_to.unwrap_or_default(),
        amount: amount.unwrap_or_default(),
        resource,
        description: description.unwrap_or_default(),
        asset: asset.unwrap_or_default(),
        network: network.unwrap_or_default(),
        max_timeout_seconds: max_timeout_seconds.unwrap_or_default(),
        mime_type: mime_type.unwrap_or_default(),
        version: version.unwrap_or_default(),
        scheme: scheme.unwrap_or_default(),
        transfer_method,
        facilitator_address,
    };
    Ok(Jsonb(
        arguments.requirements(CurrentRegistry::load()?.registry())?,
    ))
}

/// Header PAYMENT-REQUIRED.
#[pg_extern(schema = "insforge_integrations", stable, parallel_safe)]
fn x402_payment_required_header(
    requirements: Option<Jsonb>,
    resource: default!(Option<&str>, "NULL"),
    description: default!(Option<&str>, "NULL"),
    mime_type: default!(Option<&str>, "NULL"),
    error: default!(Option<&str>, "NULL"),
) -> reported::Result<String> {
    let resource = Resource {
        url: resource,
        description,
        mime_type,
    };
    let loaded = CurrentRegistry::load()?;
    Ok(header::payment_required(
        &text_of(requirements),
        &resource,
        error,
        loaded.registry(),
    )?)
}

/// The headers and the body of an answer with status 402.
#[pg_extern(schema = "insforge_integrations_internal", stable, parallel_safe)]
fn x402_challenge_parts(
    offers: Option<Jsonb>,
    resource: Option<&str>,
    description: Option<&str>,
    mime_type: Option<&str>,
    error: Option<&str>,
) -> reported::Result<TableIterator<'static, (name!(headers, Jsonb), name!(body, String))>> {
    let resource = Resource {
        url: resource,
        description,
        mime_type,
    };
    let loaded = CurrentRegistry::load()?;
    let made = challenge(&text_of(offers), &resource, error, loaded.registry())?;
    let headers = json!({
        "content-type": "application/json",
        "cache-control": "no-store",
        "payment-required": made.header,
    });
    Ok(TableIterator::once((Jsonb(headers.to_string()), made.body)))
}

/// Header PAYMENT-RESPONSE.
#[pg_extern(
    name = "x402_payment_response_header",
    schema = "insforge_integrations",
    stable,
    parallel_safe
)]
fn payment_response_header(
    tx_hash: Option<&str>,
    network: Option<&str>,
    payer: Option<&str>,
    amount: default!(Option<&str>, "NULL"),
) -> reported::Result<String> {
    let [tx_hash, network, payer] = [tx_hash, network, payer].map(Option::unwrap_or_default);
    Ok(header::payment_response(
        tx_hash,
        network,
        payer,
        amount,
        CurrentRegistry::load()?.registry(),
    )?)
}

/// The JSON in a header.
#[pg_extern(schema = "insforge_integrations", immutable, parallel_safe)]
fn x402_decode_header(header: &str) -> reported::Result<Jsonb> {
    let text = header::decode(header).map_err(|problem| x402::Error::InvalidHeader {
        problem: problem.to_owned(),
    })?;
    Ok(Jsonb(text))
}

/// The body of a request to a facilitator.
#[pg_extern(
    name = "x402_facilitator_request",
    schema = "insforge_integrations",
    stable,
    parallel_safe
)]
fn facilitator_request(
    payment: Option<&str>,
    requirements: Option<Jsonb>,
    facilitator: Option<&str>,
    amount: default!(Option<&str>, "NULL"),
) -> reported::Result<Jsonb> {
    let request = facilitator::request(
        payment.unwrap_or_default(),
        &text_of(requirements),
        facilitator.unwrap_or_default(),
        amount,
        CurrentRegistry::load()?.registry(),
    )?;
    Ok(Jsonb(request.body))
}

/// Checks a payment against the requirements. No content of a payment makes it raise an error.
#[pg_extern(
    name = "verify_x402_payment",
    schema = "insforge_integrations",
    volatile,
    parallel_safe
)]
#[allow(clippy::type_complexity)]
fn verify_payment(
    payment: Option<&str>,
    requirements: Option<Jsonb>,
    payer_is_contract: default!(Option<bool>, "false"),
) -> reported::Result<
    TableIterator<
        'static,
        (
            name!(is_valid, Option<bool>),
            name!(payer, Option<String>),
            name!(amount, Option<AnyNumeric>),
            name!(network, Option<String>),
            name!(asset, Option<String>),
            name!(nonce, Option<String>),
            name!(valid_before, Option<TimestampWithTimeZone>),
            name!(invalid_reason, Option<String>),
            name!(invalid_message, Option<String>),
            name!(unchecked, Vec<String>),
        ),
    >,
> {
    let loaded = CurrentRegistry::load()?;
    let now = u64::try_from(clock::now()).unwrap_or_default();
    let requirements = text_of(requirements);
    let verdict = verify(
        payment.unwrap_or_default(),
        &requirements,
        loaded.registry(),
        now,
        payer(payer_is_contract),
    )?;
    let authorization = verdict.authorization();
    let amount = authorization
        .map(|authorization| AnyNumeric::try_from(digits(&authorization.value).as_str()));
    let refusal = verdict.refusal();
    let is_valid = verdict.is_valid();
    let unchecked = UNCHECKED
        .iter()
        .copied()
        .chain(is_valid.is_none().then_some("signature"));
    let row = (
        is_valid,
        authorization.map(|authorization| authorization.from.to_string()),
        amount.transpose().map_err(Error::bug)?,
        verdict.network().map(str::to_owned),
        verdict.asset(),
        authorization.map(|authorization| hexadecimal(&authorization.nonce)),
        authorization.map(|authorization| timestamp(&authorization.valid_before)),
        refusal.map(|refusal| refusal.reason.name().to_owned()),
        refusal.map(|refusal| refusal.message.clone()),
        unchecked.map(str::to_owned).collect(),
    );
    Ok(TableIterator::once(row))
}

/// The meaning of argument `payer_is_contract`.
pub(super) fn payer(is_contract: Option<bool>) -> Payer {
    match is_contract {
        Some(true) => Payer::HasCode,
        _ => Payer::Unknown,
    }
}

/// Seconds since 1970 as a time; `infinity` after the end of Postgres' times.
pub(super) fn timestamp(seconds: &U256) -> TimestampWithTimeZone {
    let seconds = digits(seconds).parse::<f64>().ok();
    seconds
        .and_then(clock::timestamp)
        .unwrap_or_else(TimestampWithTimeZone::positive_infinity)
}

pub(super) fn text_of(json: Option<Jsonb>) -> String {
    json.map_or_else(|| "null".to_owned(), |json| json.0)
}

#[cfg(feature = "pg_test")]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    /// The payment of the x402 specification. Its signature is genuine and expired long ago.
    const PAYMENT: &str = r#"{"x402Version":1,"scheme":"exact","network":"base-sepolia","payload":{
      "signature":"0x2d6a7588d6acca505cbf0d9a4a227e0c52c6c34008c8e8986a1283259764173608a2ce6496642e377d6da8dbbf5836e9bd15092f9ecab05ded3d6293af148b571c",
      "authorization":{"from":"0x857b06519E91e3A54538791bDbb0E22373e36b66","to":"0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
        "value":"10000","validAfter":"1740672089","validBefore":"1740672154",
        "nonce":"0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480"}}}"#;
    const REQUIREMENTS: &str = "insforge_integrations.x402_payment_requirements(
      '0x209693Bc6afc0C5328bA36FaF03C514EF312287C', '10000', 'https://api.example.com', asset => 'USDC', network => 'base-sepolia')";

    fn text(expression: &str) -> Option<String> {
        let statement =
            format!("WITH a (payment) AS (VALUES ($1)) SELECT ({expression})::text FROM a");
        Spi::get_one_with_args(&statement, &[PAYMENT.into()]).unwrap()
    }

    #[pg_test]
    fn a_payment_that_is_over_is_refused_for_that_alone() {
        let column = |column: &str| {
            text(&format!(
                "SELECT {column} FROM insforge_integrations.verify_x402_payment(payment, {REQUIREMENTS})"
            ))
        };
        assert_eq!(column("is_valid").as_deref(), Some("false"));
        assert_eq!(
            column("payer").as_deref(),
            Some("0x857b06519e91e3a54538791bdbb0e22373e36b66")
        );
        assert_eq!(column("amount").as_deref(), Some("10000"));
        assert_eq!(column("network").as_deref(), Some("eip155:84532"));
        assert_eq!(
            column("extract(epoch FROM valid_before)::int").as_deref(),
            Some("1740672154")
        );
        assert_eq!(
            column("invalid_reason").as_deref(),
            Some("invalid_exact_evm_payload_authorization_valid_before")
        );
    }

    #[pg_test]
    fn a_payer_with_code_is_left_to_the_facilitator() {
        let unsigned = "replace(payment, '1b571c', '1b571b')";
        for (is_contract, valid, expected) in [
            ("true", None, "needs_facilitator"),
            (
                "false",
                Some("false"),
                "invalid_exact_evm_payload_signature",
            ),
            ("NULL", Some("false"), "invalid_exact_evm_payload_signature"),
        ] {
            let column = |column: &str| {
                // The window of the specification's payment is over, so its end is moved.
                text(&format!(
                    "SELECT {column} FROM insforge_integrations.verify_x402_payment(
                       replace({unsigned}, '1740672154', '9740672154'), {REQUIREMENTS}, {is_contract})"
                ))
            };
            assert_eq!(column("is_valid").as_deref(), valid);
            assert_eq!(column("invalid_reason").as_deref(), Some(expected));
        }
    }

    #[pg_test]
    fn permits_are_offered_in_version_2() {
        let offered = |arguments: &str| {
            text(&format!(
                "insforge_integrations.x402_payment_requirements('0x209693Bc6afc0C5328bA36FaF03C514EF312287C', '10000',
                   network => 'base', asset => 'USDC', version => 2, {arguments}) -> 'extra' ->> 'assetTransferMethod'"
            ))
        };
        assert_eq!(offered("scheme => 'exact'"), None);
        assert_eq!(
            offered("transfer_method => 'permit2'").as_deref(),
            Some("permit2")
        );
        let upto =
            "scheme => 'upto', facilitator_address => '0x857b06519E91e3A54538791bDbb0E22373e36b66'";
        assert_eq!(offered(upto).as_deref(), Some("permit2"));
    }

    #[pg_test(error = "invalid x402 payment requirements")]
    fn no_scheme_raises() {
        text(&REQUIREMENTS.replace("asset =>", "scheme => NULL, asset =>"));
    }

    #[pg_test]
    fn a_time_beyond_all_times_is_infinity() {
        let later = format!("replace(payment, '1740672154', '{}')", "9".repeat(77));
        assert_eq!(
            text(&format!("SELECT valid_before FROM insforge_integrations.verify_x402_payment({later}, {REQUIREMENTS})")).as_deref(),
            Some("infinity")
        );
    }

    #[pg_test]
    fn no_payment_is_none() {
        assert_eq!(
            text(&format!("SELECT invalid_reason FROM insforge_integrations.verify_x402_payment(NULL, {REQUIREMENTS})")).as_deref(),
            Some("invalid_payload")
        );
    }

    #[pg_test]
    fn headers_are_decoded_as_they_were_encoded() {
        for (expression, expected) in [
            (
                format!("insforge_integrations.x402_decode_header(insforge_integrations.x402_payment_required_header({REQUIREMENTS})) -> 'accepts' -> 0 = {REQUIREMENTS}"),
                "true",
            ),
            (
                "insforge_integrations.x402_decode_header(insforge_integrations.x402_payment_response_header('0x' || repeat('ab', 32), 'xlayer', '0x209693Bc6afc0C5328bA36FaF03C514EF312287C')) ->> 'network'".to_owned(),
                "eip155:196",
            ),
            (
                "insforge_integrations.x402_decode_header(insforge_integrations.x402_payment_response_header(NULL, 'xlayer', '0x209693Bc6afc0C5328bA36FaF03C514EF312287C', '0')) ->> 'amount'".to_owned(),
                "0",
            ),
            (
                format!("insforge_integrations.x402_facilitator_request(payment, {REQUIREMENTS}, 'okx') ->> 'chainIndex'"),
                "84532",
            ),
        ] {
            assert_eq!(text(&expression).as_deref(), Some(expected), "{expression}");
        }
        assert_eq!(text("insforge_integrations.x402_decode_header(NULL)"), None);
    }

    #[pg_test]
    fn a_challenge_has_headers_and_a_body() {
        let challenge = |of: &str| {
            text(&format!(
                "SELECT {of} FROM x402_challenge('{{\"pay_to\": \"0x209693Bc6afc0C5328bA36FaF03C514EF312287C\", \"amount\": \"10000\", \"version\": 1}}',
                   'https://api.example.com', error => 'pay')"
            ))
        };
        assert_eq!(challenge("status").as_deref(), Some("402"));
        assert_eq!(challenge("body::jsonb ->> 'error'").as_deref(), Some("pay"));
        let header = "insforge_integrations.x402_decode_header(headers ->> 'payment-required') = body::jsonb";
        assert_eq!(challenge(header).as_deref(), Some("true"));
        assert_eq!(
            challenge("headers ->> 'content-type'").as_deref(),
            Some("application/json")
        );
    }

    #[pg_test(error = "invalid x402 payment requirements")]
    fn a_challenge_without_a_resource_is_the_sellers_error() {
        text("SELECT body FROM x402_challenge('{}', NULL)");
    }

    #[pg_test(error = "invalid x402 header")]
    fn what_is_no_header_raises() {
        text("insforge_integrations.x402_decode_header('not base64')");
    }

    #[pg_test(error = "invalid x402 payment requirements")]
    fn no_requirements_are_the_sellers_error() {
        text("SELECT is_valid FROM insforge_integrations.verify_x402_payment(payment, NULL)");
    }

    #[pg_test(error = "unknown x402 facilitator \"stripe\"")]
    fn an_unknown_facilitator_raises() {
        text(&format!(
            "insforge_integrations.x402_facilitator_request(payment, {REQUIREMENTS}, 'stripe')"
        ));
    }
}
