//! docs/clients/insforge_integrations.d.ts, in the form that `createClient<Database>()` takes.

use std::collections::BTreeMap;

use insforge_integrations_tests::provider_tokens::{a_token_of, register};
use insforge_integrations_tests::{Fixture, node, shared_cluster};
use serde_json::Value;

use super::catalog::{Object, Part, objects};
use super::is_made;

const FILE: &str = "docs/clients/insforge_integrations.d.ts";

const HEAD: &str = r#"// The data API of extension insforge_integrations: every function and view that PostgREST and InsForge offer.
// Made from the catalog. PostgREST writes bigint and numeric as JSON numbers; amounts of payments are texts.
//
// With @supabase/postgrest-js:
//   const client = new PostgrestClient<Database>(url);
//
// Beside your own types:
//   new PostgrestClient<Own & Database>(url)
//
// With @insforge/sdk, whose own rpc() takes every name and every argument:
//   const database = insforge.database as unknown as PostgrestClient<Database>;

export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];
"#;

/// Columns that can be NULL. The catalog says it only of tables.
const NULLABLE: &[(&str, &[&str])] = &[
    (
        "x402_reservation",
        &[
            "idempotency_key",
            "tx_hash",
            "reason",
            "message",
            "settled_at",
            "delivered_at",
            "user_id",
            "settled_amount",
            "facilitator_request",
            "response_headers",
        ],
    ),
    (
        "x402_payments",
        &["response_summary", "asset", "explorer_url", "user_id"],
    ),
    (
        "x402_revenue",
        &[
            "asset",
            "symbol",
            "decimals",
            "amount_in_units",
            "net_in_units",
        ],
    ),
];

/// Types that the catalog does not have: JSON of a known form, and a text with few values.
const KNOWN: &[(&str, &str)] = &[
    (
        "x402_reservation.state",
        "Database[\"public\"][\"Enums\"][\"x402_state\"]",
    ),
    (
        "x402_reservation.facilitator_request",
        "{ url: string; body: string }",
    ),
    (
        "x402_reservation.response_headers",
        "Record<string, string>",
    ),
    ("x402_challenge.headers", "Record<string, string>"),
    (
        "exchange_provider_token",
        "{ access_token: string; token_type: string; expires_in: number; issued_token_type: string; user_id: string; provider: string }",
    ),
];

fn known(name: &str) -> Option<String> {
    let found = KNOWN.iter().find(|(known, _)| *known == name);
    found.map(|(_, kind)| (*kind).to_owned())
}

/// The type of a value as PostgREST writes it in JSON.
fn kind(base: &str) -> String {
    if let Some(element) = base.strip_suffix("[]") {
        return format!("{}[]", kind(element));
    }
    match base {
        "boolean" => "boolean",
        "integer" | "bigint" | "numeric" => "number",
        "json" | "jsonb" => "Json",
        "text" | "name" | "uuid" | "date" | "timestamp with time zone" => "string",
        other => panic!("what is {other} in JSON?"),
    }
    .to_owned()
}

/// What the COMMENT says of an argument or column, for the editor that shows it at the name.
fn hint(comment: &str, part: &Part, indent: &str) -> String {
    let items = comment
        .lines()
        .filter_map(|line| line.strip_prefix("- ")?.split_once(": "));
    let mut own = items.filter(|(names, _)| names.split(", ").any(|name| name == part.name));
    let text = own.next().map_or(part.comment.as_str(), |(_, text)| text);
    match text {
        "" => String::new(),
        text => format!("{indent}/** {} */\n", text.replace("*/", "* /")),
    }
}

fn row(name: &str, comment: &str, columns: &[Part], indent: &str) -> String {
    let nullable = NULLABLE.iter().find(|(relation, _)| *relation == name);
    let members = columns.iter().map(|column| {
        let kind = known(&format!("{name}.{}", column.name)).unwrap_or_else(|| kind(&column.base));
        let is_never_null = match nullable {
            Some((_, names)) => !names.contains(&column.name.as_str()),
            None => column.not_null,
        };
        let null = if is_never_null { "" } else { " | null" };
        let hint = hint(comment, column, &format!("{indent}  "));
        format!("{hint}{indent}  {}: {kind}{null};\n", column.name)
    });
    format!("{{\n{}{indent}}}", members.collect::<String>())
}

/// The COMMENT without what the arguments and columns have.
fn documentation(object: &Object, indent: &str) -> String {
    let text = object.comment.replace("*/", "* /");
    let paragraphs = text.split("\n\n").filter(|text| !text.starts_with("- "));
    let text = paragraphs.collect::<Vec<_>>().join("\n\n");
    let lines = text
        .lines()
        .map(|line| format!("{indent} * {line}").trim_end().to_owned() + "\n");
    format!("{indent}/**\n{}{indent} */\n", lines.collect::<String>())
}

fn members<'a>(function: &Object, arguments: impl Iterator<Item = &'a Part>) -> String {
    let members: String = arguments
        .map(|argument| {
            let hint = hint(&function.comment, argument, "          ");
            let (mark, null) = match argument.default.as_deref() {
                None => ("", ""),
                Some("NULL") => ("?", " | null"),
                Some(_) => ("?", ""),
            };
            format!(
                "{hint}          {}{mark}: {}{null};\n",
                argument.name,
                kind(&argument.base)
            )
        })
        .collect();
    match members.as_str() {
        "" => "Record<PropertyKey, never>".to_owned(),
        members => format!("{{\n{members}        }}"),
    }
}

fn answer(function: &Object, all: &[Object]) -> String {
    let many = if function.returns_set { "[]" } else { "" };
    if let Some(kind) = known(&function.name) {
        return kind;
    }
    if !function.is_row && !function.columns.is_empty() {
        return row(
            &function.name,
            &function.comment,
            &function.columns,
            "        ",
        ) + many;
    }
    if !function.is_row {
        let null = if function.returns_set { "" } else { " | null" };
        return kind(&function.returns_base) + many + null;
    }
    let named = all
        .iter()
        .find(|object| object.kind != "function" && object.name == function.returns);
    match named.map(|object| (object.kind.as_str(), object.schema.as_str())) {
        Some(("type", _)) => format!(
            "Database[\"public\"][\"CompositeTypes\"][\"{}\"]{many}",
            function.returns
        ),
        Some((_, "public")) => format!(
            "Database[\"public\"][\"Views\"][\"{}\"][\"Row\"]{many}",
            function.returns
        ),
        _ => row(&function.returns, "", &function.columns, "        ") + many,
    }
}

/// An INSERT into a view gives the arguments of this function that are columns.
const INSERTS: &[(&str, &str)] = &[("x402_payments", "record_x402_settlement")];

fn view(view: &Object, all: &[Object]) -> String {
    let read = row(&view.name, &view.comment, &view.columns, "        ");
    let inserts = INSERTS.iter().find(|(name, _)| *name == view.name);
    let insert = inserts.map(|(_, name)| {
        let function = all.iter().find(|object| object.name == *name).unwrap();
        let is_column = |part: &&Part| view.columns.iter().any(|column| column.name == part.name);
        let given = members(function, function.arguments.iter().filter(is_column));
        format!("        Insert: {given};\n        Update: Record<string, never>;\n")
    });
    let documentation = documentation(view, "      ");
    format!(
        "{documentation}      {}: {{\n        Row: {read};\n{}        Relationships: [];\n      }};\n",
        view.name,
        insert.unwrap_or_default()
    )
}

fn declarations() -> String {
    let all = objects();
    let mut functions: BTreeMap<&str, String> = BTreeMap::new();
    let mut views = String::new();
    let mut enums = String::new();
    let mut rows = String::new();
    for object in &all {
        match (object.kind.as_str(), object.schema.as_str()) {
            ("function", "public") => {
                let text = format!(
                    "{}      {}: {{\n        Args: {};\n        Returns: {};\n      }};\n",
                    documentation(object, "      "),
                    object.name,
                    members(object, object.arguments.iter()),
                    answer(object, &all)
                );
                let earlier = functions.insert(&object.name, text);
                assert!(earlier.is_none(), "{} is overloaded", object.name);
            }
            ("view", "public") => views += &view(object, &all),
            ("type", _) if !object.values.is_empty() => {
                let values: Vec<String> = object
                    .values
                    .iter()
                    .map(|value| format!("\"{value}\""))
                    .collect();
                enums += &format!("      {}: {};\n", object.name, values.join(" | "));
            }
            ("type", _) if !object.columns.is_empty() => {
                rows += &format!(
                    "{}      {}: {};\n",
                    documentation(object, "      "),
                    object.name,
                    row(&object.name, &object.comment, &object.columns, "      ")
                );
            }
            _ => {}
        }
    }
    let functions: String = functions.into_values().collect();
    format!(
        "{HEAD}\nexport type Database = {{\n  public: {{\n    Tables: {{ [_ in never]: never }};\n    Views: {{\n{views}    }};\n    Functions: {{\n{functions}    }};\n    Enums: {{\n{enums}    }};\n    CompositeTypes: {{\n{rows}    }};\n  }};\n}};\n"
    )
}

#[test]
fn the_declarations_are_those_of_the_catalog() {
    is_made(FILE, &declarations());
}

/// With `tsc --strict` and the real packages.
#[test]
fn programs_compile_only_with_the_right_names_and_types() {
    let found = node::run("types.mjs", &[]).unwrap();
    assert_eq!(found, "");
}

/// The members of JSON, which the catalog does not have.
#[test]
fn known_forms_are_those_of_answers() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let secret = "SELECT insforge_integrations.set_jwt_secret(repeat('secret', 6))";
    client.batch_execute(secret).unwrap();
    register(&mut client, "clerk");
    let token = a_token_of("clerk")["token"].as_str().unwrap();
    let exchange = "SELECT (json_build_object('a', exchange_provider_token($1)))";
    let answer: Value = client.query_one(exchange, &[&token]).unwrap().get(0);
    let declared = known("exchange_provider_token").unwrap();
    let members = answer["a"].as_object().unwrap();
    for (name, value) in members {
        let kind = if value.is_number() {
            "number"
        } else {
            "string"
        };
        assert!(declared.contains(&format!(" {name}: {kind}")), "{name}");
    }
    assert_eq!(declared.matches(": ").count(), members.len());
    let challenge = "SELECT headers FROM x402_challenge('{\"pay_to\": \"0x209693Bc6afc0C5328bA36FaF03C514EF312287C\", \"amount\": \"1\"}', '/report')";
    let headers: Value = client.query_one(challenge, &[]).unwrap().get(0);
    assert!(headers.as_object().unwrap().values().all(Value::is_string));
}
