//! Better Auth's tables, in every spelling. Kysely and Prisma write `expiresAt`, Drizzle writes
//! `expires_at`, and `usePlural` makes `sessions`. An operator can give other names.

use std::collections::BTreeMap;

use Kind::{Bool, Id, Text, Time};

use crate::report::shown;

/// The kind of type that a column must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, a uuid or an integer: Better Auth makes ids of each kind.
    Id,
    /// Any built-in text type, or an enum.
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
    /// The kind of its type.
    pub kind: Kind,
    /// Whether the table cannot be used without it.
    pub is_required: bool,
}

/// A table that is read.
#[derive(Debug)]
pub struct Table {
    /// Its name in Better Auth's own spelling.
    pub name: &'static str,
    /// The columns that are read. Other columns do not matter.
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
/// The sessions, with the columns of the plugins organization and admin.
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
/// The users, with the columns of the admin plugin.
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
/// The tables that are read.
pub const READ: [&Table; 4] = [&JWKS, &SESSION, &USER, &MEMBER];

/// The name of a table, the columns that it always has, and the columns that identify it under any
/// other name. Without such columns only its own name identifies it.
type Shape = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// The tables of `getAuthTables` in better-auth 1.7, and of its plugins.
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

/// Whether two names are the same except for camelCase, snake_case or PascalCase.
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

/// Recognises a table by its name and columns. `None`: it is not one of Better Auth's tables.
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

/// The schema and the names of Better Auth's tables.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Their schema.
    pub schema: String,
    /// Given names by Better Auth's own names: `session` for a table, `session.userId` for a
    /// column.
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

    /// Finds the column that Better Auth calls by this name.
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

/// Reads given names from a JSON object.
///
/// # Errors
///
/// A sentence says what is wrong with the names.
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

/// Says what is wrong with given names.
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
                "{} is neither a table of Better Auth, such as \"session\", nor one of the columns that are read: {}.",
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
            // Tables of an application, some with the same names.
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
