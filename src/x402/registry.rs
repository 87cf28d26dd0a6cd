//! The networks and assets for payments.

use std::collections::HashMap;

use serde::Deserialize;

use super::TransferMethod;
use crate::eip712::domain_separator;
use crate::evm::address::Address;
use crate::evm::{Word, fixed_bytes};
use crate::x402::Error;

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Network {
    /// Its CAIP-2 identifier, `eip155:196`.
    pub network: String,
    /// Its short name, `xlayer`.
    pub name: String,
    /// Name in version 1 of the protocol: its SDK's name, or the identifier if the SDK has none.
    pub v1_network: String,
    /// Address of a transaction's page, with `{hash}` in place of the hash.
    pub explorer_url: Option<String>,
    is_builtin: bool,
}

impl Network {
    /// The number of the chain, in decimal digits.
    #[must_use]
    pub fn chain_id(&self) -> &str {
        self.network.strip_prefix("eip155:").unwrap_or_default()
    }

    /// Whether this is one of its names. Upper and lower case are equal.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        [&self.network, &self.name, &self.v1_network]
            .iter()
            .any(|own| own.eq_ignore_ascii_case(name))
    }

    /// The address of a transaction's page.
    #[must_use]
    pub fn explorer_url(&self, hash: &str) -> Option<String> {
        Some(self.explorer_url.as_ref()?.replace("{hash}", hash))
    }
}

/// Networks by identifier. An operator's rows take precedence over built-in ones.
#[derive(Debug, Default)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// The networks of table `x402_network_entries`.
    #[must_use]
    pub fn new(mut rows: Vec<Network>) -> Self {
        rows.sort_by(|one, other| {
            (&one.network, one.is_builtin).cmp(&(&other.network, other.is_builtin))
        });
        rows.dedup_by(|next, kept| next.network == kept.network);
        Self(rows)
    }

    /// The network with this identifier or name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Network> {
        self.0.iter().find(|row| {
            [&row.network, &row.name, &row.v1_network]
                .iter()
                .any(|own| **own == name)
        })
    }

    /// The same as [`Networks::find`].
    ///
    /// # Errors
    /// [`Error::UnknownNetwork`].
    pub fn get(&self, name: &str) -> Result<&Network, Error> {
        self.find(name).ok_or_else(|| Error::UnknownNetwork {
            name: name.to_owned(),
        })
    }
}

/// A row of table `x402_asset_entries`.
#[derive(Debug, Deserialize)]
pub struct AssetRow {
    network: String,
    address: String,
    symbol: String,
    name: Option<String>,
    version: Option<String>,
    domain_separator: Option<String>,
    salt: Option<String>,
    has_chain_id: bool,
    transfer_method: String,
    is_builtin: bool,
}

/// A token's contract.
#[derive(Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its network's CAIP-2 identifier.
    pub network: String,
    /// Its contract.
    pub address: Address,
    /// Symbol, such as USDC.
    pub symbol: String,
    /// The way to move it that buyers are offered. Permit2 moves every token.
    pub method: TransferMethod,
    /// The domain under which the contract checks signatures. Without EIP-3009, it need not be
    /// known.
    pub domain: Option<Domain>,
}

/// A domain of EIP-712.
#[derive(Debug, PartialEq, Eq)]
pub struct Domain {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its salt. Most domains have none.
    pub salt: Option<String>,
    /// Its hash.
    pub separator: Word,
}

impl AssetRow {
    /// The asset, if the row is valid and its domain hashes to the separator that was read on
    /// chain.
    fn asset(self) -> Option<Asset> {
        let address = Address::parse(&self.address).ok()?;
        let method = TransferMethod::of_name(&self.transfer_method)?;
        let has_no_domain = self.name.is_none() && method == TransferMethod::Permit2;
        let domain = match has_no_domain {
            true => None,
            false => Some(self.domain()?),
        };
        Some(Asset {
            network: self.network,
            address,
            symbol: self.symbol,
            method,
            domain,
        })
    }

    fn domain(&self) -> Option<Domain> {
        let (name, version) = (self.name.clone()?, self.version.clone()?);
        let mut domain = serde_json::json!({
            "name": name,
            "version": version,
            "verifyingContract": self.address,
        });
        let members = domain.as_object_mut()?;
        if self.has_chain_id {
            let chain_id = self.network.strip_prefix("eip155:")?;
            members.insert("chainId".to_owned(), chain_id.into());
        }
        if let Some(salt) = &self.salt {
            members.insert("salt".to_owned(), salt.as_str().into());
        }
        let separator = domain_separator(&domain.to_string()).ok()?;
        let pinned = self.domain_separator.as_deref();
        let is_as_on_chain = pinned.is_none_or(|pinned| fixed_bytes(pinned) == Some(separator));
        is_as_on_chain.then_some(Domain {
            name,
            version,
            salt: self.salt.clone(),
            separator,
        })
    }
}

/// Assets by network and contract. An operator's rows take precedence over built-in ones.
#[derive(Debug, Default)]
pub struct Assets(HashMap<(String, Address), Asset>);

impl Assets {
    /// The assets of table `x402_asset_entries`. A row that somebody made invalid by hand does not
    /// count.
    #[must_use]
    pub fn new(mut rows: Vec<AssetRow>) -> Self {
        // The last insertion wins.
        rows.sort_by_key(|row| !row.is_builtin);
        let assets = rows.into_iter().filter_map(AssetRow::asset);
        Self(
            assets
                .map(|asset| ((asset.network.clone(), asset.address), asset))
                .collect(),
        )
    }

    /// The network's asset with this contract.
    #[must_use]
    pub fn find(&self, network: &Network, address: Address) -> Option<&Asset> {
        self.0.get(&(network.network.clone(), address))
    }

    /// The network's asset with this symbol or contract.
    ///
    /// # Errors
    /// [`Error::UnknownAsset`].
    pub fn get(&self, network: &Network, asset: &str) -> Result<&Asset, Error> {
        let of_network = || self.0.values().filter(|row| row.network == network.network);
        let by_address = Address::parse(asset)
            .ok()
            .and_then(|address| self.find(network, address));
        by_address
            .or_else(|| of_network().find(|row| row.symbol.eq_ignore_ascii_case(asset)))
            .ok_or_else(|| {
                let mut known: Vec<&str> = of_network().map(|row| row.symbol.as_str()).collect();
                known.sort_unstable();
                Error::UnknownAsset {
                    asset: asset.to_owned(),
                    network: network.network.clone(),
                    known: known.join(", "),
                }
            })
    }

    /// The network of a contract, if it is an asset of only one network.
    pub(super) fn only_network_of(&self, address: Address) -> Option<&str> {
        let mut networks = self
            .0
            .values()
            .filter(|row| row.address == address)
            .map(|row| row.network.as_str());
        let network = networks.next()?;
        networks.next().is_none().then_some(network)
    }
}

/// The known networks and assets.
#[derive(Debug, Clone, Copy)]
pub struct Registry<'a> {
    /// The chains.
    pub networks: &'a Networks,
    /// The tokens.
    pub assets: &'a Assets,
}
