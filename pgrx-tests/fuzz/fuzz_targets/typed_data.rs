//! Reads any text as typed data, as its parts, and as a signature. Nothing panics.
#![no_main]

use insforge_integrations::eip712::{digest, domain_separator, encode_type, hash_struct};
use insforge_integrations::evm::address::Address;
use insforge_integrations::evm::signature::Signature;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let once = digest(text);
    let (head, tail) = text.split_once('\n').unwrap_or((text, text));
    let _ = domain_separator(head);
    let _ = encode_type(head, tail);
    let _ = hash_struct(head, "Mail", tail);
    let _ = Address::parse(head);
    if let (Ok(signature), Ok(digest)) = (Signature::parse(tail), once) {
        let _ = signature.signer(&digest);
    }
});
