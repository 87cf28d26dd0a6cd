//! Better Auth's tables: recognised by what they are. Kysely and Prisma write `expiresAt`, Drizzle
//! `expires_at`; `usePlural` makes `sessions`; any table and column can be given another name.

use std::collections::BTreeMap;

use Kind::{Bool, Id, Text, Time};

use crate::report::shown;

/// What a column that is read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, a uuid or an integer, as Better Auth was told to make ids.
    Id,
    /// Text of any built-in type, or a label of an enum.
    Text,
    /// A boolean.
    Bool,
    /// A time, with a time zone or in UTC.
    Time,
}

/// A column that is read.
#[derive(Debug)]
pub struct Column {
    /// Its name in Better Auth's own spelling.
    pub name: &'static str,
    /// What it must be.
    pub kind: Kind,
    /// Whether the table is of no use without it.
    pub is_required: bool,
}

/// A table that is read.
#[derive(Debug)]
pub struct Table {
    /// Its name in Better Auth's own spelling.
    pub name: &'static str,
    /// The columns that are read; no other column matters.
    pub columns: &'static [Column],
}

const fn must(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        is_required: true,
    }
}

const fn may(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        is_required: false,
    }
}

/// The keys of the jwt plugin.
pub const JWKS: Table = Table {
    name: "jwks",
    columns: &[
        must("id", Id),
        must("publicKey", Text),
        may("createdAt", Time),
        may("expiresAt", Time),
        may("alg", Text),
    ],
};
/// The sessions, with what the plugins organization and admin add.
pub const SESSION: Table = Table {
    name: "session",
    columns: &[
        must("token", Text),
        must("userId", Id),
        must("expiresAt", Time),
        may("activeOrganizationId", Id),
        may("impersonatedBy", Id),
    ],
};
/// The users, with what the admin plugin adds.
pub const USER: Table = Table {
    name: "user",
    columns: &[
        must("id", Id),
        may("email", Text),
        may("emailVerified", Bool),
        may("banned", Bool),
        may("banExpires", Time),
    ],
};
/// The members of organisations.
pub const MEMBER: Table = Table {
    name: "member",
    columns: &[
        must("userId", Id),
        must("organizationId", Id),
        may("role", Text),
    ],
};
/// All of these.
pub const READ: [&Table; 4] = [&JWKS, &SESSION, &USER, &MEMBER];

/// A table by its name, columns that it always has, and columns by which it is known under any name
/// (none: only its own name will do).
type Shape = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// From better-auth 1.7's `getAuthTables` and the schemas of its plugins.
const SHAPES: &[Shape] = &[
    (
        "user",
        &["email", "emailVerified"],
        &[
            "id",
            "name",
            "email",
            "emailVerified",
            "image",
            "createdAt",
            "updatedAt",
        ],
    ),
    (
        "session",
        &["userId", "expiresAt", "token"],
        &[
            "userId",
            "expiresAt",
            "token",
            "createdAt",
            "updatedAt",
            "ipAddress",
            "userAgent",
        ],
    ),
    (
        "account",
        &["userId", "accountId", "providerId"],
        &[
            "userId",
            "accountId",
            "providerId",
            "accessToken",
            "refreshToken",
            "idToken",
            "password",
        ],
    ),
    (
        "verification",
        &["identifier", "value", "expiresAt"],
        &[
            "id",
            "identifier",
            "value",
            "expiresAt",
            "createdAt",
            "updatedAt",
        ],
    ),
    (
        "jwks",
        &["publicKey", "privateKey"],
        &["id", "publicKey", "privateKey", "createdAt"],
    ),
    ("rateLimit", &["key", "lastRequest"], &[]),
    ("organization", &["name", "slug", "createdAt"], &[]),
    ("organizationRole", &["organizationId", "permission"], &[]),
    ("member", &["organizationId", "userId"], &[]),
    (
        "invitation",
        &["organizationId", "inviterId"],
        &[
            "organizationId",
            "inviterId",
            "email",
            "role",
            "status",
            "expiresAt",
        ],
    ),
    ("team", &["organizationId", "name"], &[]),
    ("teamMember", &["teamId", "userId"], &[]),
    (
        "twoFactor",
        &["secret", "backupCodes"],
        &["userId", "secret", "backupCodes"],
    ),
    ("deviceCode", &["deviceCode", "userCode"], &[]),
    ("walletAddress", &["userId", "chainId"], &[]),
    (
        "passkey",
        &["userId", "credentialID"],
        &["userId", "credentialID", "publicKey", "counter", "backedUp"],
    ),
    (
        "apikey",
        &["key", "lastRefillAt"],
        &["key", "lastRefillAt", "refillAmount", "remaining"],
    ),
    (
        "ssoProvider",
        &["issuer", "providerId"],
        &["issuer", "oidcConfig", "samlConfig", "providerId"],
    ),
    ("subscription", &["referenceId", "stripeCustomerId"], &[]),
    (
        "oauthApplication",
        &["clientId"],
        &["clientId", "clientSecret", "redirectUrls"],
    ),
    (
        "oauthClient",
        &["clientId"],
        &["clientId", "clientSecret", "redirectUris"],
    ),
    (
        "oauthAccessToken",
        &["clientId"],
        &["accessToken", "refreshToken", "clientId", "scopes"],
    ),
    ("oauthRefreshToken", &["clientId"], &[]),
    (
        "oauthConsent",
        &["clientId"],
        &["clientId", "scopes", "consentGiven"],
    ),
    ("oauthResource", &["identifier", "accessTokenTtl"], &[]),
    ("oauthClientResource", &["clientId"], &[]),
    ("oauthClientAssertion", &["expiresAt"], &[]),
];

/// Whether two names are one in camelCase, snake_case or PascalCase.
fn is_spelling_of(name: &str, known: &str) -> bool {
    fn letters(text: &str) -> impl Iterator<Item = u8> {
        let kept = text.bytes().filter(|byte| *byte != b'_');
        kept.map(|byte| byte.to_ascii_lowercase())
    }
    letters(name).eq(letters(known))
}

fn is_singular_or_plural_of(name: &str, known: &str) -> bool {
    let singular = name.strip_suffix(['s', 'S']);
    is_spelling_of(name, known) || singular.is_some_and(|name| is_spelling_of(name, known))
}

/// Which of Better Auth's tables one of this name and with these columns is; `None` if it is none.
#[must_use]
pub fn recognise(name: &str, columns: &[&str]) -> Option<&'static str> {
    let has_all = |wanted: &[&str]| {
        let has = |wanted: &&str| columns.iter().any(|column| is_spelling_of(column, wanted));
        wanted.iter().all(has)
    };
    let by_name = SHAPES
        .iter()
        .find(|(known, always, _)| is_singular_or_plural_of(name, known) && has_all(always));
    let by_columns = || {
        let mut shapes = SHAPES.iter();
        shapes.find(|(_, _, certain)| !certain.is_empty() && has_all(certain))
    };
    by_name.or_else(by_columns).map(|(known, ..)| *known)
}

/// Where Better Auth's tables are, and what they are called.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Their schema.
    pub schema: String,
    /// Names by Better Auth's own: of a table, `session`; of a column, `session.userId`.
    pub names: BTreeMap<String, String>,
}

impl Place {
    /// The names that a table can have here.
    #[must_use]
    pub fn relations(&self, table: &str) -> Vec<String> {
        if let Some(name) = self.names.get(table) {
            return vec![name.clone()];
        }
        let mut pascal = table.to_owned();
        if let Some(first) = pascal.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let spellings = [table.to_owned(), pascal].into_iter();
        let both = |name: String| [name.clone(), name + "s"];
        spellings.flat_map(both).collect()
    }

    /// Which of a table's columns is the one that Better Auth calls so.
    #[must_use]
    pub fn column(&self, table: &str, column: &str, columns: &[String]) -> Option<usize> {
        let given = self.names.get(&format!("{table}.{column}"));
        let is_it = |found: &String| given.map_or(found == column, |given| found == given);
        let exact = columns.iter().position(is_it);
        if exact.is_some() || given.is_some() {
            return exact;
        }
        columns
            .iter()
            .position(|found| is_spelling_of(found, column))
    }
}

/// The names that were given, as a JSON object.
///
/// # Errors
///
/// What is wrong with them, in a sentence.
pub fn parse_names(json: &str) -> Result<BTreeMap<String, String>, String> {
    let names = serde_json::from_str(json).map_err(|_| {
        "The argument \"names\" is an object whose values are text, such as {\"session\": \"logins\"}."
            .to_owned()
    })?;
    match problem_with(&names) {
        None => Ok(names),
        Some(problem) => Err(problem),
    }
}

/// What is wrong with the names that were given.
#[must_use]
pub fn problem_with(names: &BTreeMap<String, String>) -> Option<String> {
    let is_known = |name: &str| match name.split_once('.') {
        None => SHAPES.iter().any(|(known, ..)| *known == name),
        Some((table, column)) => READ
            .iter()
            .filter(|known| known.name == table)
            .any(|known| known.columns.iter().any(|known| known.name == column)),
    };
    let columns = || {
        let of = |table: &&Table| {
            let of = |column: &Column| format!("{}.{}", table.name, column.name);
            table.columns.iter().map(of).collect::<Vec<_>>()
        };
        READ.iter().flat_map(of).collect::<Vec<_>>().join(", ")
    };
    names.iter().find_map(|(name, given)| {
        if given.is_empty() {
            return Some(format!("The name given for \"{name}\" is empty."));
        }
        (!is_known(name)).then(|| {
            format!(
                "{} is no table of Better Auth, such as \"session\", and none of the columns that are read: {}.",
                shown(name),
                columns()
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As better-auth 1.7's migration, and its CLI for Drizzle with `usePlural`, make them.
    #[test]
    fn a_table_is_known_in_every_spelling() {
        for (name, columns, expected) in [
            ("session", "id expiresAt token userId", Some("session")),
            ("sessions", "id expires_at token user_id", Some("session")),
            ("Session", "id expiresAt token userId", Some("session")),
            ("jwkss", "id public_key private_key", Some("jwks")),
            ("two_factors", "secret backup_codes", Some("twoFactor")),
            ("passkeys", "user_id credential_i_d", Some("passkey")),
            (
                "logins",
                "id expires_at token created_at updated_at ip_address user_agent user_id",
                Some("session"),
            ),
            (
                "signing_keys",
                "id public_key private_key created_at",
                Some("jwks"),
            ),
            // Others of the name, and an application's own.
            ("session", "id user_id started_at", None),
            ("users", "id email", None),
            ("logins", "id token user_id expires_at", None),
            ("team", "id label", None),
            (
                "memberships",
                "id organization_id user_id role created_at",
                None,
            ),
        ] {
            let columns: Vec<&str> = columns.split(' ').collect();
            assert_eq!(recognise(name, &columns), expected, "{name}");
        }
    }

    #[test]
    fn what_is_given_is_taken_and_nothing_else() {
        let names = [("session", "logins"), ("session.userId", "person")];
        let names = names.map(|(name, given)| (name.to_owned(), given.to_owned()));
        let place = Place {
            schema: "public".to_owned(),
            names: names.into(),
        };
        assert_eq!(place.relations("session"), ["logins"]);
        assert_eq!(place.relations("user"), ["user", "users", "User", "Users"]);
        let columns = ["user_id", "person", "expires_at"].map(str::to_owned);
        assert_eq!(place.column("session", "userId", &columns), Some(1));
        assert_eq!(place.column("session", "userId", &columns[..1]), None);
        assert_eq!(place.column("session", "expiresAt", &columns), Some(2));
        assert_eq!(place.column("member", "userId", &columns), Some(0));
        let both = ["user_id", "userId"].map(str::to_owned);
        assert_eq!(place.column("member", "userId", &both), Some(1));
        assert_eq!(problem_with(&place.names), None);
        for (name, given) in [("sessions", "x"), ("session.password", "x"), ("user", "")] {
            let names = BTreeMap::from([(name.to_owned(), given.to_owned())]);
            assert!(problem_with(&names).is_some_and(|problem| problem.contains(name)));
        }
    }
}
