//! URLs that issuers and key sets may have.

/// Whether a URL is https, or plain http to this machine. Nobody on the network path can change
/// such an answer.
#[must_use]
pub fn is_https_or_localhost(url: &str) -> bool {
    url.starts_with("https://") || is_http_localhost(url)
}

/// Whether a URL is plain http to this machine.
#[must_use]
pub fn is_http_localhost(url: &str) -> bool {
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

/// Host and port of a URL, with everything that stands before the host.
#[must_use]
pub fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#', '\\']).next()
}

/// The host of a URL, without its port. `None` if it has characters that no host has.
#[must_use]
pub fn host(url: &str) -> Option<&str> {
    let authority = authority(url)?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    Some(host).filter(|host| !host.is_empty() && host.bytes().all(is_sound))
}

#[cfg(test)]
mod tests {
    use super::is_https_or_localhost;

    #[test]
    fn plain_http_goes_to_this_machine_only() {
        for url in [
            "https://example.com/jwks",
            "http://localhost:3000/jwks",
            "http://127.0.0.1/",
            "http://[::1]:3000",
        ] {
            assert!(is_https_or_localhost(url), "{url}");
        }
        for url in [
            "",
            "http://example.com",
            "ftp://localhost",
            "http://localhost.example.com",
            "http://localhost@example.com",
            "http://localhost:3000@example.com",
            "http://127.0.0.1.example.com/localhost",
        ] {
            assert!(!is_https_or_localhost(url), "{url}");
        }
    }
}
