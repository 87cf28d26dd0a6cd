//! The examples in `docs/examples/` in headless Chromium, each as its `make` target starts it.
//!
//! `UPDATE_DOCS=1` writes the screenshots in the guides.

use std::path::{Path, PathBuf};

use insforge_integrations_tests::example::{Example, script};
use insforge_integrations_tests::node::{Process, run};
use insforge_integrations_tests::{Database, Fixture, not_run, shared_cluster};
use postgres::Client;
use serde_json::{Value, json};

/// Debian's package, or a browser that the machine has under another name. CHROMIUM names one.
fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).flat_map(|directory| {
        ["chromium", "google-chrome", "google-chrome-stable"].map(|name| directory.join(name))
    });
    named
        .into_iter()
        .chain(found)
        .find(|program| program.is_file())
}

/// Windows of several people.
struct Browser(Process);

impl Browser {
    /// None, and a line on stderr, without a browser.
    fn start() -> Option<Self> {
        let Some(program) = chromium() else {
            not_run("this machine has no Chromium: install it, or name one in CHROMIUM");
            return None;
        };
        let arguments = [program.to_str().unwrap()];
        Some(Self(Process::start("browser.mjs", &arguments).unwrap()))
    }

    fn ask(&mut self, who: &str, mut what: Value) -> Value {
        what["who"] = json!(who);
        let answer = self.0.ask(&what).unwrap();
        assert!(answer["error"].is_null(), "{what}: {answer}");
        answer
    }

    fn click(&mut self, who: &str, selector: &str) {
        self.ask(who, json!({"click": selector}));
    }

    /// Waits until the window shows so many elements. Returns their texts.
    fn until(&mut self, who: &str, selector: &str, count: usize) -> Vec<String> {
        let texts = self.ask(who, json!({"until": [selector, count]}));
        serde_json::from_value(texts).unwrap()
    }

    /// Writes a picture of a guide, if the guides are to be written.
    fn screenshot(&mut self, who: &str, example: &str) {
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
            let picture = directory.join(example).join("page.png");
            self.ask(who, json!({"screenshot": picture}));
        }
    }

    /// Signs up or in on the notes page.
    fn sign(&mut self, who: &str, how: &str, password: &str) {
        let email = format!("{who}@example.com");
        self.ask(
            who,
            json!({"fill": {"[name=email]": email, "[name=password]": password}}),
        );
        self.click(who, &format!("[value={how}]"));
    }

    fn add(&mut self, who: &str, note: &str) {
        self.ask(who, json!({"fill": {"[name=body]": note}}));
        self.click(who, "#add button");
    }
}

/// An example on a database of its own.
fn start(name: &str) -> (Database<'static>, Example, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let example = Example::start(name, &database).unwrap();
    let superuser = database.connect().unwrap();
    (database, example, superuser)
}

fn read(path: &str) -> String {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(repository.join(path)).unwrap()
}

/// Runs the statements that an example's page says to try in psql.
fn run_statements_of_readme(name: &str, superuser: &mut Client) {
    let page = read(&format!("docs/examples/{name}/README.md"));
    let (_, rest) = page.split_once("```text\n").unwrap();
    let (statements, _) = rest.split_once("```").unwrap();
    superuser.batch_execute(statements).unwrap();
}

#[test]
fn a_user_of_the_notes_page_sees_only_their_own_notes() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let (database, notes, mut superuser) = start("notes");
    for (who, note) in [("alice", "milk"), ("bob", "a bass guitar")] {
        browser.ask(who, json!({"open": notes.page}));
        assert_eq!(browser.ask(who, json!({"fetch": "/notes"}))["status"], 401);
        browser.sign(who, "sign-up", "correct horse");
        browser.until(who, "#add", 1);
        browser.until(who, "li", 0);
        browser.add(who, note);
        assert_eq!(browser.until(who, "li", 1), [note]);
    }
    browser.add("alice", "eggs");
    assert_eq!(browser.until("alice", "li", 2), ["milk", "eggs"]);
    browser.screenshot("alice", "notes");

    // A page that is opened anew shows the same.
    browser.ask("bob", json!({"open": notes.page}));
    assert_eq!(browser.until("bob", "li", 1), ["a bass guitar"]);
    // Neither does the answer to the page have more.
    let answer = browser.ask("bob", json!({"fetch": "/notes"}));
    let rows: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");

    // The rows belong to Better Auth's users. Without a token the page's role sees none.
    let stored: Vec<String> = superuser
        .query(
            "SELECT u.email || ': ' || n.body FROM notes n JOIN better_auth.\"user\" u ON u.id = n.user_id ORDER BY n.id",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(
        stored,
        [
            "alice@example.com: milk",
            "bob@example.com: a bass guitar",
            "alice@example.com: eggs"
        ]
    );
    let mut role = database.connect_as("authenticated").unwrap();
    assert_eq!(role.query("SELECT FROM notes", &[]).unwrap().len(), 0);
    // Claims that the session made up are no token.
    let alice =
        "SELECT set_config('request.jwt.claims', json_build_object('sub', $1::text)::text, false)";
    let id = "SELECT user_id FROM notes WHERE body = 'milk'";
    let id: String = superuser.query_one(id, &[]).unwrap().get(0);
    role.execute(alice, &[&id]).unwrap();
    assert_eq!(role.query("SELECT FROM notes", &[]).unwrap().len(), 0);

    run_statements_of_readme("notes", &mut superuser);

    browser.click("alice", "#sign-out");
    browser.until("alice", "#sign-in", 1);
    browser.until("alice", "li", 0);
    assert_eq!(
        browser.ask("alice", json!({"fetch": "/notes"}))["status"],
        401
    );
    browser.sign("alice", "sign-in", "another password");
    let told = browser.until("alice", "[role=alert]:not(:empty)", 1);
    assert_eq!(told, ["Invalid email or password"]);
    browser.sign("alice", "sign-in", "correct horse");
    assert_eq!(browser.until("alice", "li", 2), ["milk", "eggs"]);
}

#[test]
fn a_payment_appears_on_the_page_once_and_at_once() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let (_, shop, mut superuser) = start("shop");
    let rows = "tbody tr";
    browser.ask("seller", json!({"open": shop.page}));
    browser.until("seller", rows, 0);

    // A buyer elsewhere pays. The page shows it without being touched.
    let bought = script("shop/buyer.mjs", &[&shop.sells_at]).unwrap();
    assert!(bought.contains("status: 200"), "{bought}");
    // That buyer also sends the payment a second time.
    assert!(bought.contains("status: 409"), "{bought}");
    browser.until("seller", rows, 1);

    browser.click("seller", "#buy");
    browser.until("seller", rows, 2);
    let told = browser.until("seller", "output:not(:empty)", 1);
    assert_eq!(
        told,
        [r#"The shop answers 200: {"report":"what was paid for"}"#]
    );
    browser.click("seller", "#send-again");
    let refused = "output:has-text('The shop answers 409: ')";
    browser.until("seller", refused, 1);
    browser.screenshot("seller", "shop");
    browser.ask("seller", json!({"open": shop.page}));
    let shown = browser.until("seller", rows, 2);

    // The page shows the ledger, newest first.
    let stored: Vec<String> = superuser
        .query(
            "SELECT concat_ws(E'\\t', to_char(created_at, 'HH24:MI:SS'), left(payer_address, 8) || '…' || right(payer_address, 6),
                    to_char(amount::numeric / 1e6, 'FM0.00'), left(tx_hash, 8) || '…' || right(tx_hash, 6))
             FROM x402_payments",
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(shown, stored);
    let counts = superuser
        .query_one(
            "SELECT (SELECT count(*) FROM insforge_integrations.x402_reservations WHERE state = 'settled'),
                    (SELECT count(DISTINCT payer_address) FROM x402_payments),
                    (SELECT count(*) FROM insforge_integrations.undelivered_x402_reservations)",
            &[],
        )
        .unwrap();
    let counts: [i64; 3] = [0, 1, 2].map(|column| counts.get(column));
    assert_eq!(counts, [2, 2, 0]);
    run_statements_of_readme("shop", &mut superuser);
}

/// The reasons are those of the x402 specification.
#[test]
fn the_facilitator_of_the_shop_settles_by_the_rules() {
    let answers = run("facilitator_rules.mjs", &[]).unwrap();
    let mut answers: Value = serde_json::from_str(&answers).unwrap();
    let hash = answers["nothing"][2].take();
    let hash = hash.as_str().unwrap();
    assert!(hash.len() == 66 && hash.starts_with("0x"), "{hash}");
    let refused = |reason: &str| json!([200, format!("invalid_exact_evm_{reason}"), ""]);
    let expected = json!({
        "nothing": [200, null, null],
        "sent again": refused("nonce_already_used"),
        "changed after it was signed": refused("payload_signature"),
        "to another recipient": refused("payload_recipient_mismatch"),
        "of another amount": refused("payload_authorization_value_mismatch"),
        "not valid yet": refused("payload_authorization_valid_after"),
        "not valid any more": refused("payload_authorization_valid_before"),
        "another seller's": [401, null, null],
    });
    assert_eq!(answers, expected);
}

#[test]
fn the_table_of_notes_is_the_guides() {
    let schema = read("docs/examples/notes/schema.sql");
    let table = &schema[schema.find("CREATE TABLE").unwrap()..];
    assert!(read("docs/better_auth.md").contains(&format!("```sql\n{table}```\n")));
}
