//! Certificates for servers of the tests.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// An authority's certificate, and a server's certificate and key by it, all in PEM.
pub(crate) fn certificates(name: &str, host: &str) -> (String, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    let issuer = format!("authority of {name}");
    authority
        .distinguished_name
        .push(DnType::CommonName, issuer);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec![host.to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    (authority.pem(), key.serialize_pem() + &server.pem())
}
