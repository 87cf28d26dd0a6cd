//! The guides of the providers are made from `docs/templates/`: the text of all in `provider.md`,
//! ten lines for each provider in `<provider>.txt`, and the code in `docs/clients/`.
//! `UPDATE_DOCS=1` writes them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use insforge_integrations_tests::provider_tokens::{a_token_of, presets};
use insforge_integrations_tests::{Fixture, node, shared_cluster};
use serde_json::json;

type Values = HashMap<String, String>;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn read(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(docs().join(path)).ok()?;
    Some(text.trim_end().to_owned())
}

/// The text with values in the place of `{names}`. Braces around anything else stay.
fn filled(text: &str, values: &Values) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled += before;
        let named = after
            .split_once('}')
            .and_then(|(name, after)| Some((values.get(name)?, after)));
        rest = if let Some((value, after)) = named {
            filled += value;
            after
        } else {
            filled.push('{');
            after
        };
    }
    filled + rest
}

/// The code in `docs/clients/`, by its file's name. A provider's own files are named without the
/// provider.
fn code(provider: &str) -> Values {
    let files = std::fs::read_dir(docs().join("clients")).unwrap();
    files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .map(|name| {
            let code = read(&format!("clients/{name}")).unwrap();
            let own = name.strip_prefix(&format!("{provider}_"));
            (own.unwrap_or(&name).to_owned(), code)
        })
        .collect()
}

/// A line is `name: text`. Lines with the same name are one text.
fn own_lines(provider: &str) -> Values {
    let mut values = Values::new();
    let lines = read(&format!("templates/{provider}.txt")).unwrap();
    for line in lines.lines() {
        let (name, text) = line.split_once(':').unwrap();
        let text = text.strip_prefix(' ').unwrap_or(text);
        values
            .entry(name.to_owned())
            .and_modify(|value| *value += &format!("\n{text}"))
            .or_insert_with(|| text.to_owned());
    }
    values
}

fn guide(provider: &str) -> String {
    let mut values = code(provider);
    values.insert("preset".to_owned(), provider.to_owned());
    for (name, text) in [
        (
            "keys",
            "\nSELECT * FROM insforge_integrations.refresh_provider_jwks('{preset}');",
        ),
        ("request", ""),
        ("get", "getToken"),
    ] {
        let text = filled(text, &values);
        values.insert(name.to_owned(), text);
    }
    // A provider may have a part of its own.
    for (name, all) in [
        ("at", ""),
        ("after", "keys"),
        ("table", "table"),
        ("more", ""),
    ] {
        let own = read(&format!("templates/{provider}_{name}.md"));
        let text = own.or_else(|| read(&format!("templates/{all}.md")));
        let text = text.map(|text| filled(&text, &values));
        let text = if name == "more" {
            text.map(|text| text + "\n\n")
        } else {
            text
        };
        values.insert(name.to_owned(), text.unwrap_or_default());
    }
    values.extend(own_lines(provider));
    filled(&read("templates/provider.md").unwrap(), &values) + "\n"
}

fn providers_with_lines() -> Vec<String> {
    let files = std::fs::read_dir(docs().join("templates")).unwrap();
    let mut names: Vec<String> = files
        .filter_map(|file| {
            let name = file.unwrap().file_name().into_string().unwrap();
            Some(name.strip_suffix(".txt")?.to_owned())
        })
        .collect();
    names.sort();
    names
}

#[test]
fn the_guides_are_what_the_template_says() {
    let mut pages: Vec<(String, String)> = providers_with_lines()
        .iter()
        .map(|provider| (format!("{provider}.md"), guide(provider)))
        .collect();
    let template = read("templates/clients.md").unwrap();
    let clients = filled(&template, &code("no provider")) + "\n";
    pages.push(("clients.md".to_owned(), clients));
    for (page, expected) in pages {
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(docs().join(&page), &expected).unwrap();
        }
        let now = read(&page).unwrap_or_default() + "\n";
        assert!(
            now == expected,
            "docs/{page} is not what docs/templates says: run UPDATE_DOCS=1 make test-suites"
        );
    }
}

/// A name that the template does not know would stay in the page.
#[test]
fn every_line_and_every_file_is_used() {
    let names = "name intro at register keys server browser request get tokens replaces";
    for provider in providers_with_lines() {
        for name in own_lines(&provider).keys() {
            assert!(names.split(' ').any(|known| known == name), "{name}");
        }
        let page = guide(&provider);
        for file in code(&provider)
            .keys()
            .filter(|name| !name.starts_with("exchange"))
        {
            let is_own = docs().join(format!("clients/{provider}_{file}")).exists();
            assert!(!is_own || !page.contains(&format!("{{{file}}}")), "{file}");
        }
        for name in names.split(' ').chain([
            "preset",
            "after",
            "table",
            "more",
            "server.ts",
            "browser.ts",
        ]) {
            assert!(!page.contains(&format!("{{{name}}}")), "{provider}: {name}");
        }
    }
}

/// The guide's registration takes the tokens of its own pages, also of those in development.
#[test]
fn clerks_guide_takes_tokens_of_the_page_in_development() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    let page = guide("clerk");
    let block = page.split("```sql\n").nth(1).unwrap();
    let registration = block.split_inclusive(';').next().unwrap();
    superuser.batch_execute(registration).unwrap();
    let simplest = &a_token_of("clerk")["token"];
    let of = |party: &str| json!({"like": simplest, "claims": {"azp": party}});
    let parties = [
        "https://app.example.com",
        "http://localhost:3000",
        "http://localhost:3001",
    ];
    let signed = node::sign(&json!(parties.map(of))).unwrap();
    superuser
        .execute(
            "SELECT insforge_integrations.set_provider_jwks('clerk', $1::text::jsonb)",
            &[&signed.jwks],
        )
        .unwrap();
    let reasons: Vec<Option<String>> = superuser
        .query(
            "SELECT split_part(reason, ':', 1)
             FROM unnest($1::text[]) token, insforge_integrations.inspect_provider_jwt(token)",
            &[&signed.tokens],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    let refused = Some("wrong_authorized_party".to_owned());
    assert_eq!(reasons, [None, None, refused]);
}

/// A consumer and a B2B project of Stytch share a page. A custom provider has docs/providers.md.
#[test]
fn every_preset_has_its_lines() {
    let with_lines = providers_with_lines();
    for preset in presets() {
        let page = preset.trim_end_matches("_b2b");
        let has_lines = with_lines.iter().any(|name| name == page);
        assert!(has_lines || page == "custom", "{page}");
    }
}
