//! The guides' SQL function is the specification. Ours gives the same answer, or the documentation
//! lists the difference and its reason.

use std::fmt::Write as _;

use insforge_integrations_tests::{Fixture, shared_cluster};
use postgres::Client;

const DOCUMENTED: &str = include_str!("../../docs/requesting_user_id.md");

/// A function's answer for a claims document, in the notation of the documentation's table.
fn ask(client: &mut Client, function: &str, claims: &str) -> String {
    client
        .execute(
            "SELECT set_config('request.jwt.claims', $1, false)",
            &[&claims],
        )
        .unwrap();
    match client.query_one(&format!("SELECT {function}()"), &[]) {
        Ok(row) => row
            .get::<_, Option<String>>(0)
            .map_or("NULL".to_owned(), |text| format!("`{text}`")),
        Err(error) => format!("error {}", error.code().unwrap().code()),
    }
}

fn connect() -> Client {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "CREATE FUNCTION guide_requesting_user_id() RETURNS text LANGUAGE sql STABLE
             AS $$ SELECT nullif(auth.jwt() ->> 'sub', '')::text $$",
        )
        .unwrap();
    client
}

#[track_caller]
fn assert_same(client: &mut Client, claims: &str) {
    let guide = ask(client, "guide_requesting_user_id", claims);
    let ours = ask(client, "requesting_user_id", claims);
    assert_eq!(guide, ours, "{claims}");
}

#[test]
fn every_documented_difference_is_one() {
    let mut client = connect();
    let rows: Vec<Vec<&str>> = DOCUMENTED
        .lines()
        .filter(|line| line.starts_with("| `{"))
        .map(|line| {
            line.split(" | ")
                .map(|cell| cell.trim_start_matches("| "))
                .collect()
        })
        .collect();
    assert!(rows.len() >= 8, "the table of differences was not found");
    for row in rows {
        let claims = row[0].trim_matches('`');
        assert_eq!(
            ask(&mut client, "guide_requesting_user_id", claims),
            row[1],
            "guide: {claims}"
        );
        assert_eq!(
            ask(&mut client, "requesting_user_id", claims),
            row[2],
            "ours: {claims}"
        );
    }
}

#[test]
fn documents_chosen_for_their_corners() {
    let mut client = connect();
    for claims in [
        "",
        "{}",
        "[]",
        "null",
        "true",
        "0",
        "\"sub\"",
        r#"["sub"]"#,
        r#"[{"sub": "a"}]"#,
        r#"{"sub": null}"#,
        r#"{"sub": ""}"#,
        r#"{"sub": " "}"#,
        r#"{"Sub": "a"}"#,
        r#"{"sub ": "a"}"#,
        r#"{"sub": "a"}"#,
        "\n\t\r {\"sub\"\n:\t\"a\"\r} ",
        "\u{a0}{\"sub\": \"a\"}",
        "\u{feff}{\"sub\": \"a\"}",
        r#"{"sub": "a", "sub": "b"}"#,
        r#"{"sub": "a", "sub": null}"#,
        r#"{"sub": {}, "sub": "b"}"#,
        r#"{"s\u0075b": "escaped name"}"#,
        r#"{"x": {"sub": "inner"}}"#,
        r#"{"x": {"sub": "inner"}, "sub": "outer"}"#,
        r#"{"sub": "\"\\\/\b\f\n\r\t"}"#,
        r#"{"sub": "\u00e9\u4e2d\ud83d\ude00"}"#,
        r#"{"sub": "é中😀"}"#,
        r#"{"sub": "auth0|a@b:c"}"#,
        r#"{"sub": "\u007f"}"#,
        "{\"sub\": \"\u{7f}\u{80}\"}",
        "{\"sub\": \"\u{1f}\"}",
        r#"{"sub": "\ud83d"}"#,
        r#"{"sub": "\ude00\ud83d"}"#,
        r#"{"sub": "\u12"}"#,
        r#"{"sub": "\x41"}"#,
        r#"{"sub": 0}"#,
        r#"{"sub": -0}"#,
        r#"{"sub": 42}"#,
        r#"{"sub": -42}"#,
        r#"{"sub": 9007199254740993}"#,
        r#"{"sub": 340282366920938463463374607431768211456}"#,
        r#"{"sub": 042}"#,
        r#"{"sub": +1}"#,
        r#"{"sub": .5}"#,
        r#"{"sub": 1.}"#,
        r#"{"sub": 0x10}"#,
        r#"{"sub": NaN}"#,
        r#"{"sub": Infinity}"#,
        r#"{"sub": -}"#,
        r#"{"sub": "a",}"#,
        r#"{"sub": "a"} {}"#,
        r#"{"sub": "a"}x"#,
        r#"{sub: "a"}"#,
        r#"{'sub': 'a'}"#,
        "{",
        r#"{"sub"}"#,
        r#"{"sub":}"#,
        r#"{"sub": "a" "b": 1}"#,
        r#"{"sub": "a"#,
        r#"{"sub": "a", /* no */ "b": 1}"#,
        r#"{"sub": "a", "x": [1, 2, {"y": [true, false, null]}]}"#,
        r#"{"sub": "a", "x": [1,]}"#,
        r#"{"": "a"}"#,
        r#"{"sub": tru}"#,
        r#"{"x": nul, "sub": "a"}"#,
        "not json",
        " ",
        "{}{}",
        "\u{1}",
    ] {
        assert_same(&mut client, claims);
    }
}

/// A small random generator. Its seed repeats a failed run.
struct Random {
    state: u64,
    /// Without escapes and exponents, whose mutilations are documented differences of many forms.
    is_plain: bool,
}

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }

    fn string(&mut self) -> String {
        let parts = [
            "a",
            "sub",
            "user_1",
            "|",
            "é",
            "😀",
            " ",
            "\\n",
            "\\u0041",
            "\\ud83d\\ude00",
            "\\\\",
            "\\\"",
        ];
        let parts = if self.is_plain { &parts[..7] } else { &parts };
        let body: String = (0..self.below(5)).map(|_| self.pick(parts)).collect();
        format!("\"{body}\"")
    }

    /// Any JSON value.
    fn value(&mut self, depth: u64) -> String {
        match self.below(if depth == 0 { 5 } else { 7 }) {
            0 => self.string(),
            1 => self
                .pick(&["0", "-1", "42", "12345678901234567890"])
                .to_owned(),
            2 if self.is_plain => self.pick(&["1.5", "-0.25"]).to_owned(),
            2 => self.pick(&["1e3", "2E-2"]).to_owned(),
            3 => self.pick(&["true", "false"]).to_owned(),
            4 => "null".to_owned(),
            5 => format!("[{}]", self.list(depth, Self::value)),
            _ => format!("{{{}}}", self.list(depth, Self::member)),
        }
    }

    fn member(&mut self, depth: u64) -> String {
        let name = match self.below(4) {
            0 => "\"sub\"".to_owned(),
            _ => self.string(),
        };
        format!("{name}: {}", self.value(depth))
    }

    fn list(&mut self, depth: u64, element: impl Fn(&mut Self, u64) -> String) -> String {
        let elements: Vec<String> = (0..self.below(4))
            .map(|_| element(self, depth - 1))
            .collect();
        elements.join(",")
    }

    /// A subject of the kinds for which both functions promise the same.
    fn subject(&mut self) -> String {
        match self.below(4) {
            0 => "null".to_owned(),
            1 => self
                .pick(&["0", "-7", "42", "12345678901234567890"])
                .to_owned(),
            _ => self.string(),
        }
    }

    /// A claims document whose last `sub`, if it has one, is of those kinds.
    fn claims(&mut self) -> String {
        let mut claims = String::from("{");
        let others = self.list(4, |random, depth| {
            let name = random.string();
            format!("{name}: {}", random.value(depth))
        });
        let separator = if others.is_empty() { "" } else { ", " };
        write!(claims, "{others}{separator}\"sub\": {}}}", self.subject()).unwrap();
        claims
    }
}

fn random(is_plain: bool) -> Random {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let state = now.as_nanos() as u64 | 1;
    println!("seed {state}");
    Random { state, is_plain }
}

#[test]
fn random_documents() {
    let mut client = connect();
    let mut random = random(false);
    for _ in 0..2000 {
        assert_same(&mut client, &random.claims());
    }
}

/// One character less: mostly not JSON any more, and both must say so.
#[test]
fn random_documents_that_lost_a_character() {
    let mut client = connect();
    let mut random = random(true);
    for _ in 0..2000 {
        let mut characters: Vec<char> = random.claims().chars().collect();
        characters.remove(random.below(characters.len() as u64) as usize);
        let claims = String::from_iter(characters);
        let guide = ask(&mut client, "guide_requesting_user_id", &claims);
        let ours = ask(&mut client, "requesting_user_id", &claims);
        let is_documented = ours == "NULL" && is_of_a_documented_kind(&claims);
        assert!(
            guide == ours || is_documented,
            "guide {guide}, ours {ours}: {claims}"
        );
    }
}

/// Whether the mutilation made `sub` a boolean, a container or a number with a fraction.
fn is_of_a_documented_kind(claims: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(claims)
        .is_ok_and(|value| matches!(&value["sub"], sub if !sub.is_string() && !sub.is_null()))
}
