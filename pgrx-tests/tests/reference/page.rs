//! docs/reference.md.

use super::catalog::{Object, Part, objects};
use super::{is_made, repository};

const PAGE: &str = "docs/reference.md";
const BEGIN: &str = "<!-- From here on, the page is made from the catalog. -->\n";
const END: &str = "<!-- The rest is written by hand. -->\n";

/// A part of the page: its title, its text, and its objects in the order of use.
struct Section {
    title: &'static str,
    text: &'static str,
    names: &'static [&'static str],
}

const SECTIONS: &[Section] = &[
    Section {
        title: "Who is asking",
        text: "Policies and column defaults call these functions. [requesting_user_id.md](requesting_user_id.md) says what they read, for each provider.",
        names: &[
            "requesting_user_id",
            "requesting_org_id",
            "requesting_org_role",
            "requesting_permissions",
            "requesting_claims",
        ],
    },
    Section {
        title: "Tokens",
        text: "[providers.md](providers.md) explains verification, [postgrest.md](postgrest.md) the pre-request, and [clients.md](clients.md) the application's code.",
        names: &[
            "exchange_provider_token",
            "pre_request",
            "verify_provider_jwt",
            "inspect_provider_jwt",
            "authenticate",
            "deauthenticate",
            "issue_insforge_token",
        ],
    },
    Section {
        title: "Selling",
        text: "An application's server calls these functions in this order, `x402_settlement_request()` only for payments of scheme `upto`, and `mock_x402_settlement()` only in development. [payments.md](payments.md) has a whole server.",
        names: &[
            "x402_challenge",
            "reserve_x402_payment",
            "x402_settlement_request",
            "settle_x402_reservation",
            "mark_x402_delivered",
            "mock_x402_settlement",
            "x402_reservation",
            "x402_state",
        ],
    },
    Section {
        title: "The ledger",
        text: "[ledger.md](ledger.md) explains the ledger, refunds and receipts.",
        names: &[
            "record_x402_settlement",
            "x402_payments",
            "x402_revenue",
            "x402_receipt",
            "correct_x402_settlement",
            "x402_corrections",
            "x402_totals",
            "refresh_x402_sums",
            "x402_receipts",
            "publish_x402_payments",
            "map_x402_payer",
            "import_x402_payments",
            "restore_kept_x402_ledger",
        ],
    },
    Section {
        title: "Payments to look at",
        text: "[payments.md](payments.md) says what to do with them.",
        names: &[
            "unsettled_x402_reservations",
            "undelivered_x402_reservations",
            "resolve_x402_reservation",
            "x402_can_land_until",
        ],
    },
    Section {
        title: "The parts of x402",
        text: "For servers that do not use the functions in [Selling](#selling).",
        names: &[
            "verify_x402_payment",
            "x402_payment_requirements",
            "x402_payment_required_header",
            "x402_facilitator_request",
            "x402_payment_response_header",
            "x402_decode_header",
            "x402_networks",
            "x402_assets",
            "register_x402_network",
            "register_x402_asset",
        ],
    },
    Section {
        title: "Signatures",
        text: "These functions read only their arguments. [payments.md](payments.md) has examples.",
        names: &[
            "eip712_verify",
            "eip712_recover",
            "eip712_digest",
            "eip712_encode_type",
            "eip712_domain_separator",
            "eip712_hash_struct",
            "recover_signer",
            "keccak256",
            "to_checksum_address",
            "evm_address",
            "evm_hash",
            "evm_amount",
        ],
    },
    Section {
        title: "Providers",
        text: "[providers.md](providers.md) explains them. Each provider has a guide with the steps.",
        names: &[
            "register_clerk",
            "register_auth0",
            "register_workos",
            "register_kinde",
            "register_stytch",
            "register_stytch_b2b",
            "register_better_auth",
            "register_oidc_provider",
            "register_auth_provider",
            "set_provider_jwks",
            "refresh_provider_jwks",
            "schedule_jwks_refresh",
            "unschedule_jwks_refresh",
            "auth_providers",
            "jwks_fetches",
        ],
    },
    Section {
        title: "Operation",
        text: "[operations.md](operations.md) is for the people who run the database, [advisor.md](advisor.md) lists what `advise()` finds.",
        names: &[
            "advise",
            "status",
            "configure",
            "set_jwt_secret",
            "set_jwt_secret_from_file",
            "seal_better_auth",
            "adopt_requesting_user_id",
            "grant_to_insforge_roles",
            "restore_installed_objects",
        ],
    },
    Section {
        title: "Behind the functions",
        text: "The functions write and read these tables and views. Applications need none of them.",
        names: &[
            "settings",
            "jwt_secrets",
            "session_secrets",
            "stored_secrets",
            "better_auth_tables",
            "better_auth_relations",
            "x402_reservations",
            "x402_settlements",
            "x402_sums",
            "x402_summed",
            "x402_settled",
            "x402_publications",
            "x402_payers",
            "x402_reader",
            "x402_network_entries",
            "x402_asset_entries",
            "advisor_rules",
            "advisor_facts",
            "installed_objects",
        ],
    },
];

fn anchor(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}

fn qualified(object: &Object) -> String {
    match object.schema.as_str() {
        "public" => object.name.clone(),
        schema => format!("{schema}.{}", object.name),
    }
}

fn in_brackets(before: &str, parts: &[String], after: &str) -> String {
    let line = format!("{before}({}){after}", parts.join(", "));
    if line.len() <= 100 {
        return line;
    }
    format!("{before}(\n    {}){after}", parts.join(",\n    "))
}

fn signature(function: &Object) -> String {
    let arguments: Vec<String> = function
        .arguments
        .iter()
        .map(|argument| {
            let default = argument.default.as_ref();
            let default = default.map(|value| format!(" = {value}"));
            format!(
                "{} {}{}",
                argument.name,
                argument.kind,
                default.unwrap_or_default()
            )
        })
        .collect();
    if function.is_row || function.columns.is_empty() {
        let many = if function.returns_set { "setof " } else { "" };
        let answer = format!(" → {many}{}", function.returns);
        return in_brackets(&qualified(function), &arguments, &answer);
    }
    let columns: Vec<String> = function
        .columns
        .iter()
        .map(|column| format!("{} {}", column.name, column.kind))
        .collect();
    let many = if function.returns_set {
        " → setof row"
    } else {
        " → row"
    };
    in_brackets(
        &in_brackets(&qualified(function), &arguments, many),
        &columns,
        "",
    )
}

/// Who may use an object.
fn audience(object: &Object) -> String {
    let roles: Vec<String> = object
        .roles
        .iter()
        .map(|role| format!("`{role}`"))
        .collect();
    match roles.as_slice() {
        [] => "Only for superusers.".to_owned(),
        [public] if public == "`PUBLIC`" => "For everybody.".to_owned(),
        [role] => format!("For {role}."),
        [others @ .., last] => format!("For {} and {last}.", others.join(", ")),
    }
}

fn columns(columns: &[Part]) -> String {
    let mut table = "| column | type | meaning |\n|---|---|---|\n".to_owned();
    for column in columns {
        let meaning = column.comment.replace('|', "\\|").replace('<', "&lt;");
        table += &format!("| `{}` | {} | {meaning} |\n", column.name, column.kind);
    }
    table
}

/// The COMMENT as Markdown.
fn description(object: &Object) -> String {
    let lines = object.comment.lines().map(|line| {
        let line = line.replace('<', "&lt;");
        let Some((names, text)) = line
            .strip_prefix("- ")
            .and_then(|line| line.split_once(": "))
        else {
            return line;
        };
        format!("- `{}`: {text}", names.replace(", ", "`, `"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn entry(object: &Object) -> String {
    let head = match object.kind.as_str() {
        "function" => format!(
            "```text\n{}\n```\n\n{}",
            signature(object),
            audience(object)
        ),
        "type" => {
            let base = if object.columns.is_empty() {
                &object.returns_base
            } else {
                "a row"
            };
            format!("Type `{}`: {base}.", qualified(object))
        }
        kind => {
            let kind = kind.replace("view", "View").replace("table", "Table");
            format!("{kind} `{}`. {}", qualified(object), audience(object))
        }
    };
    let table = match object.kind.as_str() {
        "function" => String::new(),
        _ if object.columns.is_empty() => String::new(),
        _ => format!("\n{}", columns(&object.columns)),
    };
    format!("{head}\n\n{}\n{table}\n", description(object))
}

fn made() -> String {
    let objects = objects();
    let mut contents = String::new();
    let mut sections = String::new();
    for Section { title, text, names } in SECTIONS {
        let listed: Vec<String> = names
            .iter()
            .map(|name| format!("[`{name}`](#{name})"))
            .collect();
        contents += &format!(
            "- **[{title}](#{})**: {}\n",
            anchor(title),
            listed.join(", ")
        );
        sections += &format!("## {title}\n\n{text}\n\n");
        for name in *names {
            let entries: String = objects
                .iter()
                .filter(|object| object.name == *name)
                .map(entry)
                .collect();
            sections += &format!("### `{name}`\n\n{entries}");
        }
    }
    format!("{contents}\n{sections}")
}

#[test]
fn the_page_has_every_object_as_it_is() {
    let page = std::fs::read_to_string(repository(PAGE)).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    is_made(PAGE, &format!("{before}{BEGIN}\n{}{END}{after}", made()));
}

#[test]
fn every_object_is_in_one_section() {
    let mut expected: Vec<String> = objects().into_iter().map(|object| object.name).collect();
    expected.dedup();
    let mut listed: Vec<&str> = SECTIONS
        .iter()
        .flat_map(|section| section.names)
        .copied()
        .collect();
    listed.sort_unstable();
    assert_eq!(
        listed, expected,
        "SECTIONS in pgrx-tests/tests/reference/page.rs"
    );
}

/// The tables of settings are written by hand.
#[test]
fn the_page_has_every_setting() {
    use insforge_integrations_tests::{Fixture, shared_cluster};
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let call = "SELECT insforge_integrations.configure('there is no such setting', NULL)";
    let error = client.execute(call, &[]).unwrap_err();
    let hint = error.as_db_error().unwrap().hint().unwrap();
    let names = hint
        .strip_prefix("Settings: ")
        .unwrap()
        .trim_end_matches('.');
    let page = std::fs::read_to_string(repository(PAGE)).unwrap();
    let settings = page.split("\n## The settings\n").nth(1).unwrap();
    let settings = settings.split("\n## ").next().unwrap();
    let rows = settings.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows: Vec<&str> = rows.map(|row| row.split('`').next().unwrap()).collect();
    assert_eq!(rows, names.split(", ").collect::<Vec<_>>());
}
