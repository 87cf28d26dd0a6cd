//! Checks of errors, notices and the server's log.

use std::collections::{BTreeMap, HashSet};
use std::sync::mpsc::Receiver;

use postgres::error::DbError;

use crate::Call;

/// A message may not have this number of a secret's characters in a row.
const WINDOW: usize = 16;

pub(crate) struct Verdicts {
    /// Every part of what is planted, in lower case.
    secrets: HashSet<Vec<u8>>,
    /// Faults, each with the first call that showed it.
    faults: BTreeMap<String, String>,
}

/// An error of this extension, not of Postgres.
fn is_ours(error: &DbError) -> bool {
    matches!(
        error.routine(),
        Some("insforge_integrations" | "exec_stmt_raise")
    )
}

impl Verdicts {
    pub(crate) fn new(planted: &[String]) -> Self {
        let windows = planted.iter().flat_map(|text| {
            let text = text.to_ascii_lowercase().into_bytes();
            text.windows(WINDOW).map(<[u8]>::to_vec).collect::<Vec<_>>()
        });
        Self {
            secrets: windows.collect(),
            faults: BTreeMap::new(),
        }
    }

    fn told(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        text.as_bytes()
            .windows(WINDOW)
            .any(|part| self.secrets.contains(part))
    }

    fn fault(&mut self, what: &str, call: &Call, role: &str, error: &DbError) {
        // One for each beginning of a message: what follows may differ from call to call.
        let message: String = error.message().chars().take(32).collect();
        let kind = format!("{what}: {}: {} {message}", call.target, error.code().code());
        self.faults.entry(kind).or_insert_with(|| {
            let cut = |text: &str| text.chars().take(300).collect::<String>();
            format!(
                "as {role}, {}, {:?}\n    {}\n    {:?}\n    DETAIL {:?} HINT {:?} CONTEXT {:?} ROUTINE {:?}",
                call.surroundings.beginning,
                call.surroundings.settings(role == "postgres").into_iter().map(cut).collect::<Vec<_>>(),
                call.statement,
                call.parameters.iter().map(|text| cut(text)).collect::<Vec<_>>(),
                error.detail(), error.hint(), error.where_(), error.routine(),
            )
        });
    }

    pub(crate) fn error(&mut self, call: &Call, role: &str, error: &DbError) {
        let code = error.code().code();
        if code.starts_with("XX") {
            self.fault("an internal error", call, role, error);
        }
        if error.message() == "shadowed" {
            self.fault("somebody else's function ran", call, role, error);
        }
        if code == "57014" && !call.surroundings.is_impatient() {
            self.fault("no end", call, role, error);
        }
        // The names in our own SQL are right.
        if matches!(
            code,
            "42703" | "42883" | "42P01" | "42601" | "42702" | "42725"
        ) && error.where_().is_some()
            && !is_ours(error)
        {
            self.fault("wrong SQL", call, role, error);
        }
        self.message(call, role, error);
        if is_ours(error) {
            let says =
                |part: Option<&str>| part.is_some_and(|text| text.ends_with(['.', ')', ';', '\'']));
            if !says(error.detail()) || error.hint().is_none_or(str::is_empty) {
                self.fault("no DETAIL or HINT", call, role, error);
            }
            if error
                .message()
                .starts_with(|first: char| first.is_uppercase())
                || error.message().ends_with('.')
            {
                self.fault("not Postgres' style", call, role, error);
            }
        }
    }

    /// Whether a message contains a secret.
    fn message(&mut self, call: &Call, role: &str, message: &DbError) {
        let parts = [
            Some(message.message()),
            message.detail(),
            message.hint(),
            message.where_(),
        ];
        if parts.into_iter().flatten().any(|part| self.told(part)) {
            self.fault("a secret in a message", call, role, message);
        }
    }

    pub(crate) fn notices(&mut self, call: &Call, role: &str, notices: &Receiver<DbError>) {
        for notice in notices.try_iter() {
            self.message(call, role, &notice);
        }
    }

    pub(crate) fn log(&mut self, log: &str) {
        // Without the time and the process.
        let lines = log
            .lines()
            .map(|line| line.split_once("] ").map_or(line, |(_, rest)| rest));
        for line in lines.collect::<HashSet<_>>() {
            let is_wrong = ["PANIC", "terminated by signal", "panicked at"]
                .iter()
                .any(|word| line.contains(word));
            if is_wrong || self.told(line) {
                let cut: String = line.chars().take(80).collect();
                self.faults.entry(format!("in the log: {cut}")).or_default();
            }
        }
    }

    /// # Panics
    /// When something was wrong.
    pub(crate) fn report(self, seed: u64) {
        let faults: Vec<String> = self
            .faults
            .iter()
            .map(|(what, how)| format!("{what}\n    {how}"))
            .collect();
        assert!(
            faults.is_empty(),
            "HOSTILE_SEED={seed}: {} faults\n{}",
            faults.len(),
            faults.join("\n")
        );
    }
}
