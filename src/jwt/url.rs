//! URLs that issuers and key sets may have.

use url::Url;

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

/// An address to fetch from, written in the one way that browsers write it: two spellings of an
/// address are one source of keys. Other text stays as it is.
#[must_use]
pub fn written_alike(address: String) -> String {
    if address
        .chars()
        .any(|character| character.is_whitespace() || character.is_control())
    {
        return address;
    }
    Url::parse(&address).map_or(address, String::from)
}

#[cfg(test)]
mod tests {
    use super::{is_https_or_localhost, written_alike};

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

    #[test]
    fn two_spellings_of_an_address_are_one() {
        for (given, written) in [
            ("https://I.example:443/a/../jwks", "https://i.example/jwks"),
            ("https://i.example/a b", "https://i.example/a b"),
            ("", ""),
        ] {
            assert_eq!(written_alike(given.to_owned()), written);
        }
    }
}
