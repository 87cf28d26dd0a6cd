//! Addresses that issuers and key sets may have.

/// Whether nobody on the way can change what an address answers: https, or this machine.
#[must_use]
pub fn is_private_on_the_way(url: &str) -> bool {
    url.starts_with("https://") || is_local(url)
}

/// Whether an address is this machine's, over plain http.
pub(super) fn is_local(url: &str) -> bool {
    let host = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split('/').next())
        .unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) {
            name
        } else {
            host
        }
    });
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}
