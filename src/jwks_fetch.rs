//! Fetches a JWK set or a discovery document: one GET with limits on time and size.

use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Error};

use crate::jwt::url::is_https_or_localhost;

/// Time limit, from the lookup of the host's name to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Size limit. Providers' sets have a few thousand bytes.
const MAX_BYTES: u64 = 256 * 1024;

/// Fetches the document at an address. `authority` is a private certificate authority in PEM, which
/// is trusted besides the public ones. It follows no redirect and uses no proxy.
///
/// # Errors
/// A sentence for the operator.
pub fn fetch(url: &str, authority: Option<&str>) -> Result<String, String> {
    if !is_https_or_localhost(url) {
        return Err(
            "The address is not https. An attacker on the way could change the answer.".to_owned(),
        );
    }
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .http_status_as_error(false)
        .proxy(None)
        .user_agent(concat!("insforge_integrations/", env!("CARGO_PKG_VERSION")))
        .accept("application/jwk-set+json, application/json")
        .tls_config(tls(authority)?)
        .build()
        .into();
    let mut response = agent.get(url).call().map_err(sentence)?;
    match response.status().as_u16() {
        200 => {}
        status @ 300..400 => {
            return Err(format!(
                "The server answered with a redirect ({status}), and redirects are not followed. Register the address that it leads to."
            ));
        }
        status => return Err(format!("The server answered with status {status}.")),
    }
    let body = response.body_mut().with_config().limit(MAX_BYTES);
    body.read_to_string().map_err(sentence)
}

fn tls(authority: Option<&str>) -> Result<TlsConfig, String> {
    let public = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    let mut roots: Vec<Certificate<'static>> =
        public.map(|root| Certificate::from_der(root)).collect();
    for item in parse_pem(authority.unwrap_or_default().as_bytes()) {
        if let Ok(PemItem::Certificate(certificate)) = item {
            roots.push(certificate);
        } else {
            return Err("Setting jwks_ca is not a list of certificates in PEM.".to_owned());
        }
    }
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build())
}

fn sentence(error: Error) -> String {
    match error {
        Error::Timeout(_) => format!(
            "The server did not answer within {} seconds.",
            TIMEOUT.as_secs()
        ),
        // Without the address, which may have a password.
        Error::BadUri(_) => "It is not an address that can be read.".to_owned(),
        Error::BodyExceedsLimit(limit) => format!("The answer is longer than {limit} bytes."),
        error => format!("The address could not be read: {error}."),
    }
}
