//! Requirements from arguments.

use serde_json::{Map, Value, json};

use super::{FACILITATOR, TRANSFER_METHOD, invalid};
use crate::evm::address::Address;
use crate::evm::integer::{U256, decimal, digits};
use crate::x402::registry::{Asset, Registry};
use crate::x402::{Error, Scheme, TransferMethod};

/// The arguments of `x402_payment_requirements()`.
#[derive(Debug)]
pub struct RequirementsArguments<'a> {
    /// The recipient.
    pub pay_to: &'a str,
    /// The amount, in the token's smallest unit.
    pub amount: &'a str,
    /// The address of the resource.
    pub resource: Option<&'a str>,
    /// The description.
    pub description: &'a str,
    /// The token's symbol or contract.
    pub asset: &'a str,
    /// The network's identifier or name.
    pub network: &'a str,
    /// Seconds that the seller waits.
    pub max_timeout_seconds: i32,
    /// The media type of the resource.
    pub mime_type: &'a str,
    /// 1 or 2.
    pub version: i32,
    /// `exact` or `upto`.
    pub scheme: &'a str,
    /// `eip3009` or `permit2`; `None`: the asset's own, and `permit2` for scheme `upto`.
    pub transfer_method: Option<&'a str>,
    /// The facilitator that may settle, for scheme `upto`.
    pub facilitator_address: Option<&'a str>,
}

impl RequirementsArguments<'_> {
    /// The requirement, as JSON.
    ///
    /// # Errors
    /// [`Error::InvalidRequirements`], [`Error::UnknownNetwork`], [`Error::UnknownAsset`].
    pub fn requirements(&self, registry: Registry) -> Result<String, Error> {
        let network = registry.networks.get(self.network)?;
        let asset = registry.assets.get(network, self.asset)?;
        let pay_to = Address::parse(self.pay_to)
            .map_err(|problem| invalid(&format!("pay_to: {problem}")))?;
        if pay_to == Address::ZERO {
            return Err(invalid(
                "pay_to: It is the zero address, and money that is sent there is lost.",
            ));
        }
        let amount = decimal(self.amount).filter(|amount| *amount != U256::ZERO);
        let amount = amount.ok_or_else(|| {
            invalid("amount: It must be a whole number of the token's smallest unit, above zero and below 2^256.")
        })?;
        if self.max_timeout_seconds < 1 {
            return Err(invalid(
                "max_timeout_seconds: It must be at least one second.",
            ));
        }
        let (scheme, method) = self.scheme_and_method(asset)?;
        let extra = self.extra(asset, scheme, method)?;
        let (pay_to, amount, address) = (
            pay_to.to_string(),
            digits(&amount),
            asset.address.to_string(),
        );
        let requirements = match (self.version, self.resource) {
            (1, Some(resource)) => json!({
                "scheme": scheme.name(),
                "network": network.v1_network,
                "maxAmountRequired": amount,
                "resource": resource,
                "description": self.description,
                "mimeType": self.mime_type,
                "payTo": pay_to,
                "maxTimeoutSeconds": self.max_timeout_seconds,
                "asset": address,
                "extra": extra,
            }),
            (1, None) => {
                return Err(invalid(
                    "resource: Version 1 needs the address of the resource that is sold.",
                ));
            }
            (2, _) => json!({
                "scheme": scheme.name(),
                "network": network.network,
                "amount": amount,
                "asset": address,
                "payTo": pay_to,
                "maxTimeoutSeconds": self.max_timeout_seconds,
                "extra": extra,
            }),
            _ => return Err(invalid("version: It must be 1 or 2.")),
        };
        Ok(requirements.to_string())
    }

    fn scheme_and_method(&self, asset: &Asset) -> Result<(Scheme, TransferMethod), Error> {
        let scheme = Scheme::of_name(self.scheme)
            .ok_or_else(|| invalid("scheme: It must be exact or upto."))?;
        let method = match (self.transfer_method.map(TransferMethod::of_name), scheme) {
            (None, Scheme::Upto) => TransferMethod::Permit2,
            (None, Scheme::Exact) => asset.method,
            (Some(Some(method)), _) => method,
            (Some(None), _) => {
                return Err(invalid("transfer_method: It must be eip3009 or permit2."));
            }
        };
        match (method, scheme, asset.method, self.version) {
            (TransferMethod::Eip3009, Scheme::Upto, ..) => {
                Err(invalid("transfer_method: Scheme upto needs permit2."))
            }
            (TransferMethod::Eip3009, _, TransferMethod::Permit2, _) => Err(invalid(&format!(
                "transfer_method: The asset {} on {} has no EIP-3009. Offer permit2.",
                asset.symbol, asset.network
            ))),
            (TransferMethod::Permit2, _, _, 1) => Err(invalid("version: Permit2 needs version 2.")),
            _ => Ok((scheme, method)),
        }
    }

    fn extra(
        &self,
        asset: &Asset,
        scheme: Scheme,
        method: TransferMethod,
    ) -> Result<Map<String, Value>, Error> {
        let mut extra = Map::new();
        if let Some(domain) = &asset.domain {
            extra.insert("name".to_owned(), json!(domain.name));
            extra.insert("version".to_owned(), json!(domain.version));
            if let Some(salt) = &domain.salt {
                extra.insert("salt".to_owned(), json!(salt));
            }
        }
        if method == TransferMethod::Permit2 {
            extra.insert(TRANSFER_METHOD.to_owned(), json!(method.name()));
        }
        match (scheme, self.facilitator_address) {
            (Scheme::Exact, None) => {}
            (Scheme::Exact, Some(_)) => {
                return Err(invalid(
                    "facilitator_address: Only scheme upto names the facilitator.",
                ));
            }
            (Scheme::Upto, address) => {
                let address = Address::parse(address.unwrap_or_default())
                    .ok()
                    .filter(|address| *address != Address::ZERO);
                let address = address.ok_or_else(|| {
                    invalid("facilitator_address: Give the address of the facilitator that may settle. Its GET /supported names it, as extra.facilitatorAddress of scheme upto.")
                })?;
                extra.insert(FACILITATOR.to_owned(), json!(address.checksummed()));
            }
        }
        Ok(extra)
    }
}
