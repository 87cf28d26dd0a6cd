//! `make psql`, as a person at a terminal sees it.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

const PSQL: &str = env!("CARGO_BIN_EXE_psql");

/// psql at a terminal, which `script` makes. Without a pager and without the editing of lines.
fn at_a_terminal() -> Child {
    let command = format!("{PSQL} --no-psqlrc --no-readline --pset pager=off");
    Command::new("script")
        .args(["--quiet", "--command", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the terminal shows up to a text.
fn until(output: &mut impl Read, end: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(end.as_bytes()) && output.read(&mut byte).unwrap() == 1 {
        text.extend(byte);
    }
    String::from_utf8(text).unwrap().replace('\r', "")
}

/// Pastes a statement, and waits for the answer.
fn paste(statement: &str, input: &mut impl Write, output: &mut impl Read) -> String {
    // The terminal also shows the line itself, with the variable.
    writeln!(input, "{statement}\n\\echo :DBNAME is done").unwrap();
    until(output, "db_0 is done")
}

#[test]
fn the_three_statements_of_the_greeting_work_when_they_are_pasted() {
    let mut child = at_a_terminal();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let greeting = until(&mut output, "=# ");
    let (title, statements) = greeting.split_once("\n\n").unwrap();
    assert!(title.ends_with("Three things to try:"), "{title}");
    let statements: Vec<&str> = statements.split("\n\n").take(3).collect();
    let results = [
        "| user_2alice",
        "| 10000  | https://www.okx.com/web3/explorer/xlayer/tx/0xabab",
        "| The server can lose data that it has acknowledged",
    ];
    assert_eq!(statements.len(), results.len(), "{greeting}");
    for (statement, result) in statements.iter().zip(results) {
        let answer = paste(statement, &mut input, &mut output);
        assert!(answer.contains(result), "{statement}\n{answer}");
        assert!(!answer.contains("ERROR"), "{answer}");
    }
    // As the greeting says of the second one.
    let answer = paste(statements[1], &mut input, &mut output);
    assert!(answer.contains("ERROR:  transaction 0xabab"), "{answer}");
    writeln!(input, "\\q").unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_script_gets_no_greeting() {
    let mut child = Command::new(PSQL)
        .args(["--no-psqlrc", "--tuples-only", "--no-align"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"SELECT 1").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"1\n");
}
