//! Clerk's compact organisation claims (session token version 2): `o`, and `fea` for the features
//! its permissions belong to.
//!
//! `fea` lists features with their scopes (`o:dashboard,u:beta,ou:teams`), `o.per` the names of
//! permissions, and `o.fpm` one decimal bit mask for each organisation feature, whose lowest bit
//! stands for the first permission. The permission is then `org:<feature>:<permission>`.

use serde::Deserialize;

/// The claim `o`.
#[derive(Debug, Deserialize)]
pub(super) struct Organization {
    pub(super) id: Option<String>,
    /// Role without the prefix `org:` that version 1 tokens and Clerk's own checks have.
    pub(super) rol: Option<String>,
    per: Option<String>,
    fpm: Option<String>,
}

/// A mask of more digits than this is not decoded: it would name thousands of permissions.
const MAX_MASK_DIGITS: usize = 1_000;

impl Organization {
    /// The permissions in Clerk's own spelling, in the order of the features.
    pub(super) fn permissions(&self, features: Option<&str>) -> Vec<String> {
        let (Some(features), Some(names), Some(masks)) = (features, &self.per, &self.fpm) else {
            return Vec::new();
        };
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        let masks = masks.split(',').map(str::trim);
        let mut permissions = Vec::new();
        for (feature, mask) in organization_features(features).zip(masks) {
            let granted = names.iter().zip(bits(mask)).filter(|(_, granted)| *granted);
            permissions.extend(granted.map(|(name, _)| format!("org:{feature}:{name}")));
        }
        permissions
    }
}

/// The features of `fea` that an organisation has, as opposed to its user.
fn organization_features(features: &str) -> impl Iterator<Item = &str> {
    features.split(',').filter_map(|feature| {
        let (scope, name) = feature.trim().split_once(':')?;
        scope.contains('o').then_some(name)
    })
}

/// The bits of a decimal number of any length, lowest first; none if it is not such a number.
fn bits(decimal: &str) -> Vec<bool> {
    let is_number = decimal.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || decimal.len() > MAX_MASK_DIGITS {
        return Vec::new();
    }
    let mut digits: Vec<u8> = decimal.bytes().map(|byte| byte - b'0').collect();
    let mut bits = Vec::new();
    while digits.iter().any(|digit| *digit != 0) {
        let mut remainder = 0;
        for digit in &mut digits {
            let value = remainder * 10 + *digit;
            *digit = value / 2;
            remainder = value % 2;
        }
        bits.push(remainder == 1);
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(fea: Option<&str>, per: &str, fpm: &str) -> Vec<String> {
        let organization = Organization {
            id: None,
            rol: None,
            per: Some(per.to_owned()),
            fpm: Some(fpm.to_owned()),
        };
        organization.permissions(fea)
    }

    /// The example of Clerk's documentation of session tokens.
    #[test]
    fn decodes_the_documented_example() {
        assert_eq!(
            permissions(Some("o:dashboard,o:teams"), "manage,read", "3,2"),
            [
                "org:dashboard:manage",
                "org:dashboard:read",
                "org:teams:read"
            ]
        );
    }

    #[test]
    fn features_of_the_user_take_no_mask() {
        assert_eq!(
            permissions(Some("u:beta,ou:teams,o:billing"), "read", "1,1"),
            ["org:teams:read", "org:billing:read"]
        );
    }

    #[test]
    fn a_mask_may_be_wider_than_any_machine_integer() {
        let names: Vec<String> = (0..200).map(|index| format!("p{index}")).collect();
        // 2^199, the two hundredth permission alone.
        let mask = "803469022129495137770981046170581301261101496891396417650688";
        assert_eq!(
            permissions(Some("o:f"), &names.join(","), mask),
            ["org:f:p199"]
        );
    }

    #[test]
    fn what_is_not_a_mask_grants_nothing() {
        for mask in [
            "",
            "x",
            "-1",
            "0x3",
            "1e3",
            "٣",
            &"9".repeat(MAX_MASK_DIGITS + 1),
        ] {
            assert_eq!(
                permissions(Some("o:f"), "read", mask),
                Vec::<String>::new(),
                "{mask}"
            );
        }
    }

    #[test]
    fn without_features_there_are_no_permissions() {
        assert_eq!(permissions(None, "read", "1"), Vec::<String>::new());
    }
}
