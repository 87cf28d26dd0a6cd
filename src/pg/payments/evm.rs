//! Hashes, addresses, signatures and typed data of Ethereum in SQL.

use pgrx::prelude::*;

use crate::eip712;
use crate::evm;
use crate::evm::Word;
use crate::evm::address::Address;
use crate::evm::signature::Signature;
use crate::pg::error::{Result, reported};
use crate::pg::sys::jsonb::Jsonb;

/// Keccak-256 of some bytes.
#[pg_extern(schema = "insforge_integrations", immutable, parallel_safe)]
fn keccak256(data: &[u8]) -> Vec<u8> {
    crate::evm::keccak::keccak256(data).to_vec()
}

/// An address with the checksum of ERC-55.
#[pg_extern(schema = "insforge_integrations", immutable, parallel_safe)]
fn to_checksum_address(address: &str) -> reported::Result<String> {
    Ok(parse_address(address)?.checksummed())
}

/// The address of the key that signed a digest.
#[pg_extern(schema = "insforge_integrations", immutable, parallel_safe)]
fn recover_signer(digest: &[u8], signature: &str) -> reported::Result<String> {
    let digest: Word = digest.try_into().map_err(|_| evm::Error::InvalidDigest {
        length: digest.len(),
    })?;
    Ok(signer(parse_signature(signature)?.signer(&digest))?)
}

/// `encodeType` of EIP-712.
#[pg_extern(schema = "insforge_integrations", immutable, parallel_safe)]
fn eip712_encode_type(types: Jsonb, primary_type: &str) -> reported::Result<String> {
    Ok(eip712::encode_type(&types.0, primary_type)?)
}

/// `domainSeparator` of EIP-712.
#[pg_extern(schema = "insforge_integrations", immutable, parallel_safe)]
fn eip712_domain_separator(domain: Jsonb) -> reported::Result<Vec<u8>> {
    let separator = eip712::domain_separator(&domain.0)?;
    Ok(separator.to_vec())
}

/// `hashStruct` of EIP-712.
#[pg_extern(schema = "insforge_integrations", immutable, parallel_safe)]
fn eip712_hash_struct(
    types: Jsonb,
    primary_type: &str,
    message: Jsonb,
) -> reported::Result<Vec<u8>> {
    let hash = eip712::hash_struct(&types.0, primary_type, &message.0);
    Ok(hash?.to_vec())
}

/// The digest that a wallet signs.
#[pg_extern(schema = "insforge_integrations", immutable, parallel_safe)]
fn eip712_digest(typed_data: Jsonb) -> reported::Result<Vec<u8>> {
    Ok(digest(&typed_data)?.to_vec())
}

/// The address of the key that signed typed data.
#[pg_extern(schema = "insforge_integrations", immutable, parallel_safe)]
fn eip712_recover(typed_data: Jsonb, signature: &str) -> reported::Result<String> {
    Ok(signer(recover(&typed_data, signature)?)?)
}

/// Whether the key of an address signed typed data.
#[pg_extern(schema = "insforge_integrations", immutable, parallel_safe)]
fn eip712_verify(typed_data: Jsonb, signature: &str, signer: &str) -> reported::Result<bool> {
    let signer = parse_address(signer)?;
    Ok(recover(&typed_data, signature)? == Some(signer))
}

fn digest(typed_data: &Jsonb) -> Result<Word> {
    Ok(eip712::digest(&typed_data.0)?)
}

fn recover(typed_data: &Jsonb, signature: &str) -> Result<Option<Address>> {
    Ok(parse_signature(signature)?.signer(&digest(typed_data)?))
}

fn parse_address(text: &str) -> std::result::Result<Address, evm::Error> {
    Address::parse(text).map_err(|problem| evm::Error::InvalidAddress { problem })
}

fn parse_signature(text: &str) -> std::result::Result<Signature, evm::Error> {
    Signature::parse(text).map_err(evm::Error::InvalidSignature)
}

fn signer(recovered: Option<Address>) -> Result<String> {
    let signer = recovered.ok_or(evm::Error::SignedByNobody)?;
    Ok(signer.to_string())
}

#[cfg(feature = "pg_test")]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    /// The address of EIP-712's example, `keccak256("cow")` as a private key.
    const COW: &str = "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826";
    const MAIL: &str = r#"{
      "types": {
        "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
        "Mail": [{"name": "from", "type": "Person"}, {"name": "to", "type": "Person"}, {"name": "contents", "type": "string"}]
      },
      "primaryType": "Mail",
      "domain": {"name": "Ether Mail", "version": "1", "chainId": 1, "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"},
      "message": {
        "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
        "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
        "contents": "Hello, Bob!"
      }
    }"#;
    const SIGNATURE: &str = "0x4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c";

    fn text(expression: &str) -> Option<String> {
        Spi::get_one_with_args(
            &format!("WITH a (mail, signature) AS (VALUES ($1::jsonb, $2)) SELECT ({expression})::text FROM a"),
            &[MAIL.into(), SIGNATURE.into()],
        )
        .unwrap()
    }

    #[pg_test]
    fn the_example_of_eip_712_in_sql() {
        for (expression, expected) in [
            (
                "insforge_integrations.eip712_encode_type(mail -> 'types', 'Mail')",
                "Mail(Person from,Person to,string contents)Person(string name,address wallet)",
            ),
            (
                "insforge_integrations.eip712_domain_separator(mail -> 'domain')",
                "\\xf2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f",
            ),
            (
                "insforge_integrations.eip712_hash_struct(mail -> 'types', 'Mail', mail -> 'message')",
                "\\xc52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e",
            ),
            (
                "insforge_integrations.eip712_digest(mail)",
                "\\xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2",
            ),
            (
                "insforge_integrations.recover_signer(insforge_integrations.eip712_digest(mail), signature)",
                &COW.to_lowercase(),
            ),
            (
                "insforge_integrations.to_checksum_address(insforge_integrations.eip712_recover(mail, signature))",
                COW,
            ),
            (
                "insforge_integrations.keccak256('')",
                "\\xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
            ),
        ] {
            assert_eq!(text(expression).as_deref(), Some(expected), "{expression}");
        }
    }

    #[pg_test]
    fn verify_says_whose_it_is_not() {
        let verify = |signer: &str| {
            text(&format!(
                "insforge_integrations.eip712_verify(mail, signature, '{signer}')"
            ))
        };
        assert_eq!(verify(COW).as_deref(), Some("true"));
        assert_eq!(verify(&COW.to_lowercase()).as_deref(), Some("true"));
        assert_eq!(
            verify(&COW.to_lowercase().replace('2', "3")).as_deref(),
            Some("false")
        );
        assert_eq!(
            text("insforge_integrations.eip712_verify(jsonb_set(mail, '{message,contents}', '\"Bye\"'), signature, '0xcd2a3d9f938e13cd947ec05abc7fe734df8dd826')").as_deref(),
            Some("false")
        );
    }

    #[pg_test]
    fn null_gives_null() {
        for expression in [
            "insforge_integrations.keccak256(NULL)",
            "insforge_integrations.eip712_digest(NULL)",
            "insforge_integrations.eip712_verify(mail, NULL, signature)",
            "insforge_integrations.recover_signer(NULL, signature)",
        ] {
            assert_eq!(text(expression), None, "{expression}");
        }
    }

    #[pg_test(error = "invalid address")]
    fn a_signer_is_an_address() {
        text("insforge_integrations.eip712_verify(mail, signature, 'cow')");
    }

    #[pg_test(error = "invalid signature")]
    fn a_signature_has_65_bytes() {
        text("insforge_integrations.eip712_recover(mail, left(signature, 130))");
    }

    #[pg_test(error = "invalid EIP-712 typed data")]
    fn typed_data_is_complete() {
        text("insforge_integrations.eip712_digest(mail - 'domain')");
    }

    #[pg_test(error = "invalid digest")]
    fn a_digest_has_32_bytes() {
        text("insforge_integrations.recover_signer('\\x00', signature)");
    }
}
