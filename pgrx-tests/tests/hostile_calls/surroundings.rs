//! The surroundings of a call: a kind of transaction, and settings that a session may choose.

use crate::arguments::Random;
use crate::world::World;

/// How a call's transaction begins.
const BEGINNINGS: &[&str] = &[
    "BEGIN",
    "BEGIN",
    "BEGIN",
    "BEGIN READ ONLY",
    "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "BEGIN ISOLATION LEVEL SERIALIZABLE",
    "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
    // In a subtransaction after one that failed.
    "BEGIN; SAVEPOINT a; DO $$ BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN END $$; ROLLBACK TO a; SAVEPOINT b",
];

/// Settings that anybody may change, with values.
const SETTINGS: &[(&str, &[&str])] = &[
    ("request.method", &["POST", "GET", "", "post", "\u{202e}"]),
    (
        "TimeZone",
        &[
            "America/St_Johns",
            "Asia/Kathmandu",
            "<+15>-15",
            "Pacific/Kiritimati",
        ],
    ),
    ("DateStyle", &["German, DMY", "SQL, MDY", "Postgres, YMD"]),
    (
        "IntervalStyle",
        &["sql_standard", "iso_8601", "postgres_verbose"],
    ),
    (
        "search_path",
        &[
            "",
            "pg_temp",
            "evil, pg_catalog",
            "evil, public, pg_catalog",
            "better_auth",
        ],
    ),
    ("standard_conforming_strings", &["off"]),
    ("client_encoding", &["LATIN1", "SQL_ASCII", "WIN1252"]),
    ("work_mem", &["64kB"]),
    ("maintenance_work_mem", &["1MB"]),
    ("max_stack_depth", &["100kB"]),
    ("statement_timeout", &["3ms"]),
    ("lock_timeout", &["1ms"]),
    ("row_security", &["off"]),
    ("bytea_output", &["escape"]),
    ("extra_float_digits", &["-15"]),
    ("quote_all_identifiers", &["on"]),
    ("transform_null_equals", &["on"]),
    ("array_nulls", &["off"]),
    ("plan_cache_mode", &["force_generic_plan"]),
    ("force_parallel_mode", &["on", "regress"]),
    ("enable_seqscan", &["off"]),
    ("check_function_bodies", &["off"]),
    ("default_transaction_read_only", &["on"]),
    ("synchronous_commit", &["off"]),
];

/// The same for superusers only.
const SUPERUSERS: &[(&str, &[&str])] = &[
    ("session_replication_role", &["replica"]),
    ("plpgsql.variable_conflict", &["use_column", "use_variable"]),
    ("zero_damaged_pages", &["on"]),
];

pub(crate) struct Surroundings {
    pub beginning: &'static str,
    settings: Vec<(&'static str, String)>,
    superusers: Vec<(&'static str, String)>,
}

fn claims(random: &mut Random, world: &World) -> String {
    match random.below(40) {
        0 => "{".to_owned(),
        1 => "null".to_owned(),
        2 => r#"{"sub": "alice", "role": "authenticated"}"#.to_owned(),
        3 => r#"{"sub": "alice", "sub": 7}"#.to_owned(),
        4 => r#"{"sub": "\u0000"}"#.to_owned(),
        5 => r#"{"sub": "\ud800"}"#.to_owned(),
        6 => format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000)),
        7 => format!("{{\"sub\": \"{}\"}}", "é".repeat(1 << 19)),
        8 => r#"{"sub": {}, "org_id": [], "permissions": {"a": 1}, "o": 1, "v": 2, "fea": "o:x", "roles": [[]]}"#.to_owned(),
        9 => format!("{{\"sub\": {}}}", "9".repeat(10_000)),
        10..=14 => random.pick(&world.credentials).clone(),
        15..=25 => r#"{"sub": "alice", "role": "authenticated"}"#.to_owned(),
        _ => String::new(),
    }
}

fn headers(random: &mut Random, world: &World) -> String {
    match random.below(8) {
        0 => "[]".to_owned(),
        1 => "{".to_owned(),
        2 => r#"{"x-provider-token": 1}"#.to_owned(),
        3 => r#"{"x-provider-token": "a", "x-provider-token": null}"#.to_owned(),
        4 => random.pick(&world.credentials).clone(),
        5 => String::new(),
        _ => serde_json::json!({"x-provider-token": random.pick(&world.credentials)}).to_string(),
    }
}

impl Surroundings {
    pub(crate) fn new(random: &mut Random, world: &World) -> Self {
        let mut settings = vec![
            ("request.jwt.claims", claims(random, world)),
            ("request.headers", headers(random, world)),
        ];
        for _ in 0..random.below(4) {
            let (name, values) = *random.pick(SETTINGS);
            settings.push((name, (*random.pick(values)).to_owned()));
        }
        let mut superusers = Vec::new();
        if random.one_in(4) {
            let (name, values) = *random.pick(SUPERUSERS);
            superusers.push((name, (*random.pick(values)).to_owned()));
        }
        Self {
            beginning: *random.pick(BEGINNINGS),
            settings,
            superusers,
        }
    }

    /// Names and values of the settings, by turns.
    pub(crate) fn settings(&self, is_superuser: bool) -> Vec<&str> {
        let more = self.superusers.iter().filter(|_| is_superuser);
        let all = self.settings.iter().chain(more);
        all.flat_map(|(name, value)| [*name, value.as_str()])
            .collect()
    }

    /// Whether a call may be ended for the time it takes.
    pub(crate) fn is_impatient(&self) -> bool {
        self.settings
            .iter()
            .any(|(name, _)| *name == "statement_timeout")
    }
}
