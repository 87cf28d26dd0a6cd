//! The SQL in README and docs/ runs unchanged.

use std::path::Path;

use insforge_integrations_tests::provider_tokens::{a_token_of, providers, set_keys};
use insforge_integrations_tests::{Cluster, Fixture, node, shared_cluster};
use postgres::SimpleQueryMessage;

mod certificates;

/// Pages that show figures, lists or an application's code only.
const WITHOUT_SQL: [&str; 3] = ["docs/benchmarks.md", "docs/clients.md", "docs/rfc8725.md"];

/// Each page with SQL in it, and the database its reader has.
fn pages() -> Vec<(String, Fixture)> {
    let mut pages = vec![("README.md".to_owned(), Fixture::Extension)];
    for entry in std::fs::read_dir(repository().join("docs")).unwrap() {
        let page = format!("docs/{}", entry.unwrap().file_name().to_str().unwrap());
        let fixture = match page.as_str() {
            "docs/adoption.md" => Fixture::Guide,
            "docs/install.md" => Fixture::InsForge,
            _ => Fixture::Extension,
        };
        if page.ends_with(".md") && !WITHOUT_SQL.contains(&page.as_str()) {
            pages.push((page, fixture));
        }
    }
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn sql_blocks(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join(page)).unwrap();
    text.split("```sql\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// Replaces what only a reader has: a secret of their own instead of the example, the providers'
/// keys, a Better Auth server, and PostgREST.
const WHAT_ONLY_A_READER_HAS: &str = "
    ALTER ROLE postgres SET pgrst.db_pre_request = 'insforge_integrations.pre_request';
    UPDATE insforge_integrations.jwt_secrets SET secret = encode(sha256(gen_random_uuid()::text::bytea), 'base64');
    UPDATE insforge_integrations.auth_providers SET jwks = '{\"keys\": []}', jwks_updated_at = now()
      WHERE jwks_url IS NOT NULL;
    UPDATE insforge_integrations.auth_providers SET enabled = false
      WHERE key_source LIKE 'better_auth:%' AND to_regclass(substr(key_source, 13) || '.jwks') IS NULL;
    DELETE FROM insforge_integrations.jwks_fetches";

/// A real issuer instead of the one of the examples.
struct Issuer {
    server: node::Process,
    authority: String,
    _directory: tempfile::TempDir,
}

impl Issuer {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (authority, pem) = certificates::certificates("the issuer", "localhost");
        std::fs::write(directory.path().join("trusted.pem"), pem).unwrap();
        let path = directory.path().to_str().unwrap();
        Self {
            server: node::Process::start("oidc_provider.mjs", &[path]).unwrap(),
            authority,
            _directory: directory,
        }
    }

    fn in_place_of_the_example(&self, block: &str, client: &mut postgres::Client) -> String {
        const EXAMPLE: &str = "https://id.example.com/realms/notes";
        if !block.contains(EXAMPLE) {
            return block.to_owned();
        }
        let configure = "SELECT insforge_integrations.configure('jwks_ca', $1)";
        client.execute(configure, &[&self.authority]).unwrap();
        block.replace(EXAMPLE, self.server.greeting["issuer"].as_str().unwrap())
    }
}

/// A user's token of the example's provider, whose keys the database then has.
fn with_a_real_token(block: &str, client: &mut postgres::Client) -> String {
    if !block.contains("'eyJ…'") {
        return block.to_owned();
    }
    set_keys(client, "clerk", &providers()["clerk"]["jwks"]);
    block.replace("eyJ…", a_token_of("clerk")["token"].as_str().unwrap())
}

/// Two screens, and recipes of at most ten lines, each with the answer that its comments show.
#[test]
fn the_readme_is_short_and_its_recipes_answer() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(readme.lines().count() <= 120);
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let mut rows = Vec::new();
    for block in sql_blocks("README.md") {
        assert!(block.lines().count() <= 10, "{block}");
        let block = with_a_real_token(&block, &mut client);
        for message in client.simple_query(&block).unwrap() {
            let SimpleQueryMessage::Row(row) = message else {
                continue;
            };
            let values = (0..row.len()).map(|column| row.get(column).unwrap_or_default());
            rows.push(values.collect::<Vec<_>>().join(" | "));
        }
    }
    assert!(rows.contains(&"user_2alice | milk".to_owned()), "{rows:?}");
    assert!(
        rows.iter()
            .any(|row| row.ends_with(" | /report | 1 | 10000")),
        "{rows:?}"
    );
    let is_token = |row: &String| row.starts_with("eyJ") && row.split('.').count() == 3;
    assert!(rows.iter().any(is_token), "{rows:?}");
}

/// Afterwards the advisor finds no mistake.
#[test]
fn every_block_of_every_page_runs() {
    let cluster = Cluster::start_with("fsync = on").unwrap();
    let issuer = Issuer::start();
    for (page, fixture) in pages() {
        let database = cluster.database(fixture).unwrap();
        let mut client = database.connect().unwrap();
        if page == "docs/better_auth.md" {
            let socket = cluster.socket_directory().to_str().unwrap();
            node::run("better_auth.mjs", &[socket, database.name(), "better_auth"]).unwrap();
        }
        if page == "docs/providers.md" {
            client.batch_execute("CREATE SCHEMA better_auth").unwrap();
        }
        let blocks = sql_blocks(&page);
        assert!(
            !blocks.is_empty(),
            "{page} has no SQL: name it in WITHOUT_SQL"
        );
        for block in blocks {
            let block = issuer.in_place_of_the_example(&block, &mut client);
            let block = with_a_real_token(&block, &mut client);
            if let Err(error) = client.batch_execute(&block) {
                panic!("{page}: {error:?}\n{block}");
            }
        }
        let extension = "SELECT FROM pg_extension WHERE extname = 'insforge_integrations'";
        if client.query(extension, &[]).unwrap().is_empty() {
            // The page ends with its removal.
            continue;
        }
        client.batch_execute(WHAT_ONLY_A_READER_HAS).unwrap();
        let found: Vec<String> = client
            .query("SELECT f::text FROM insforge_integrations.advise() f", &[])
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        assert!(found.is_empty(), "{page}: {found:#?}");
    }
}

#[test]
fn no_page_with_sql_is_left_out() {
    for page in WITHOUT_SQL {
        assert!(sql_blocks(page).is_empty(), "{page} has SQL");
    }
}

/// InsForge decrypts with its JWT secret unless ENCRYPTION_KEY is set. Therefore each page says that
/// before it asks for a new JWT secret, and each line of a rule or hint has both.
#[test]
fn no_new_jwt_secret_without_an_encryption_key() {
    let mut count = 0;
    for directory in ["", "docs", "docs/templates", "sql", "sql/advisor"] {
        for entry in std::fs::read_dir(repository().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.extension().and_then(|kind| kind.to_str());
            let Some(kind @ ("md" | "sql")) = kind else {
                continue;
            };
            // A released version stays as it is.
            if path.ends_with("insforge_integrations--0.1.0.sql") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap().replace('`', "");
            let parts: Vec<String> = match kind {
                "md" => vec![text.replace('\n', " ")],
                _ => text.lines().map(str::to_owned).collect(),
            };
            for part in parts {
                let asks = [
                    "a new JWT_SECRET",
                    "another JWT_SECRET",
                    "InsForge a new secret",
                ];
                let Some(at) = asks.iter().filter_map(|words| part.find(words)).min() else {
                    continue;
                };
                let told = if kind == "md" { &part[..at] } else { &part };
                assert!(told.contains("ENCRYPTION_KEY"), "{}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 5, "{count}");
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
    heading
        .chars()
        .filter(kept)
        .collect::<String>()
        .replace(' ', "-")
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut waiting = vec![repository().to_owned(), repository().join("docs")];
    let mut count = 0;
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let is_read = |path: &std::path::PathBuf| match path.is_dir() {
                true => {
                    path.starts_with(repository().join("docs")) && !path.ends_with("node_modules")
                }
                false => path.extension().is_some_and(|kind| kind == "md"),
            };
            let entries = std::fs::read_dir(&path).unwrap();
            waiting.extend(entries.map(|entry| entry.unwrap().path()).filter(is_read));
            continue;
        }
        // The links of templates are those of the pages made from them.
        if path.parent().unwrap().ends_with("docs/templates") {
            continue;
        }
        let page = std::fs::read_to_string(&path).unwrap();
        for target in page
            .split("](")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap())
        {
            if target.starts_with("http") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() {
                path.clone()
            } else {
                path.parent().unwrap().join(file)
            };
            assert!(file.exists(), "{}: {target}", path.display());
            if !heading.is_empty() {
                let text = std::fs::read_to_string(&file).unwrap();
                let mut headings = text
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(anchor);
                assert!(
                    headings.any(|known| known == heading),
                    "{}: {target}",
                    path.display()
                );
            }
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}
