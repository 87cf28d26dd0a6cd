//! Statements, shown as they run and checked.

use std::borrow::Cow;
use std::io::IsTerminal;

use anyhow::{Result, bail};
use insforge_integrations_tests::request::{claims_of, request};
use postgres::{Client, SimpleQueryMessage};

/// A database, and what is done there.
pub(crate) struct Demo {
    /// A connection as the superuser.
    pub client: Client,
}

/// Who sends a request.
pub(crate) struct Who {
    pub name: Cow<'static, str>,
    pub role: &'static str,
    pub claims: Cow<'static, str>,
}

/// Somebody who has not signed in.
pub(crate) const ANONYMOUS: Who = Who {
    name: Cow::Borrowed("somebody who has not signed in"),
    role: "anon",
    claims: Cow::Borrowed("{}"),
};

/// A user who has signed in.
pub(crate) fn user(id: &'static str) -> Who {
    Who {
        name: format!("a request of {id}").into(),
        role: "authenticated",
        claims: claims_of(id).into(),
    }
}

/// What a statement gave: the rows as text, or SQLSTATE and HINT of an error.
pub(crate) enum Outcome {
    Rows(Vec<Vec<String>>),
    Refused { code: String, hint: Option<String> },
}

impl Demo {
    /// Runs statements that are to succeed.
    pub(crate) fn setup(&mut self, statement: &str) -> Result<()> {
        show_statement("the superuser", statement);
        Ok(self.client.batch_execute(statement)?)
    }

    /// Runs statements as the superuser.
    pub(crate) fn run(&mut self, statements: &str) -> Result<Outcome> {
        show_statement("the superuser", statements);
        outcome(self.client.simple_query(statements))
    }

    /// One request as InsForge's backend and PostgREST would run it.
    pub(crate) fn request(&mut self, who: &Who, statement: &str) -> Result<Outcome> {
        show_statement(&who.name, statement);
        outcome(request(&mut self.client, who.role, &who.claims, |tx| {
            tx.simple_query(statement)
        }))
    }
}

fn outcome(result: Result<Vec<SimpleQueryMessage>, postgres::Error>) -> Result<Outcome> {
    let messages = match result {
        Ok(messages) => messages,
        Err(error) => {
            let Some(error) = error.as_db_error() else {
                return Err(error.into());
            };
            println!("    ERROR {}: {}", error.code().code(), error.message());
            if let Some(detail) = error.detail() {
                println!("    {}", fitted(&format!("DETAIL: {detail}")));
            }
            return Ok(Outcome::Refused {
                code: error.code().code().to_owned(),
                hint: error.hint().map(str::to_owned),
            });
        }
    };
    let mut rows = Vec::new();
    for message in &messages {
        if let SimpleQueryMessage::Row(row) = message {
            let cell = |index| row.get(index).unwrap_or("NULL").to_owned();
            rows.push((0..row.len()).map(cell).collect::<Vec<_>>());
        }
    }
    for row in &rows {
        println!("    {}", row.join("  |  "));
    }
    let is_query = |message| matches!(message, &SimpleQueryMessage::RowDescription(_));
    if rows.is_empty() && messages.iter().any(is_query) {
        println!("    (no rows)");
    }
    Ok(Outcome::Rows(rows))
}

impl Outcome {
    /// Insists on these rows.
    pub(crate) fn shows(&self, expected: &[&[&str]]) -> Result<()> {
        match self {
            Self::Rows(rows) if rows == expected => Ok(()),
            Self::Rows(rows) => bail!("expected the rows {expected:?}, not {rows:?}"),
            Self::Refused { code, .. } => bail!("expected the rows {expected:?}, not error {code}"),
        }
    }

    /// Insists on an error of this SQLSTATE; its HINT.
    pub(crate) fn refused_with(self, expected: &str) -> Result<String> {
        match self {
            Self::Refused { code, hint } if code == expected => Ok(hint.unwrap_or_default()),
            Self::Refused { code, .. } => bail!("expected error {expected}, not {code}"),
            Self::Rows(rows) => bail!("expected error {expected}, not {} rows", rows.len()),
        }
    }
}

/// Begins a job.
pub(crate) fn job(number: u8, text: &str) {
    println!("\n{}", styled("1", &format!("{number} of 5. {text}")));
}

/// Says something about what is shown.
pub(crate) fn say(text: &str) {
    println!("  {text}");
}

/// Shows a statement before it is run.
fn show_statement(who: &str, statement: &str) {
    println!("  {}", styled("2", &format!("{who}:")));
    for line in statement.lines() {
        println!("  {}", styled("36", &fitted(&format!("> {line}"))));
    }
}

/// What fits into a line of a terminal.
fn fitted(line: &str) -> String {
    const WIDTH: usize = 115;
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Text with a style of the terminal (an SGR parameter), plain where there is none.
fn styled(style: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() {
        format!("\x1b[{style}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
