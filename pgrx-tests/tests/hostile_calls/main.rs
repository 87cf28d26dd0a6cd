//! Calls every function and view of the extension as every kind of role, with hostile arguments.
//! The server stays up. There is no internal error, no secret in a message, and no error without a
//! HINT.
//!
//! `HOSTILE_SEED` repeats a run, `HOSTILE_SECONDS` makes one longer.

mod arguments;
mod misplaced;
mod surroundings;
mod triggers;
mod verdict;
mod world;

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use insforge_integrations_tests::{Cluster, Database};
use postgres::error::DbError;
use postgres::types::{ToSql, Type};
use postgres::{Client, NoTls};

use arguments::{Argument, Parameter, Random, argument};
use surroundings::Surroundings;
use verdict::Verdicts;
use world::{ROLES, World};

/// Duration of a run in `make test`.
const SECONDS: u64 = 30;
/// Allowed growth of a backend after its first calls.
const GROWTH_KILOBYTES: i64 = 128 * 1024;

/// A function or a view.
struct Target {
    /// With its schema.
    name: String,
    parameters: Vec<Parameter>,
    defaults: usize,
    is_variadic: bool,
    kind: Kind,
    /// Which of the roles may use it.
    allowed: Vec<String>,
}

#[derive(PartialEq)]
enum Kind {
    Function,
    /// Of a trigger or an event trigger.
    TriggerFunction,
    Relation,
}

const FUNCTIONS: &str = "
    SELECT format('%I.%I', n.nspname, p.proname), p.pronargdefaults::int, p.prorettype IN ('trigger'::regtype, 'event_trigger'::regtype),
           ARRAY(SELECT format_type(t.oid, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY a(of_type, place) JOIN pg_type t ON t.oid = a.of_type ORDER BY place),
           ARRAY(SELECT t.typtype FROM unnest(p.proargtypes) WITH ORDINALITY a(of_type, place) JOIN pg_type t ON t.oid = a.of_type ORDER BY place),
           coalesce(p.proargnames[:p.pronargs], array_fill(''::text, ARRAY[p.pronargs::int])),
           ARRAY(SELECT r.rolname::text FROM pg_roles r WHERE has_function_privilege(r.oid, p.oid, 'EXECUTE')), p.provariadic <> 0
    FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'insforge_integrations'
      JOIN pg_proc p ON p.oid = d.objid JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
    ORDER BY p.oid::regprocedure::text COLLATE \"C\"";
const RELATIONS: &str = "
    SELECT format('%I.%I', n.nspname, c.relname),
           ARRAY(SELECT r.rolname::text FROM pg_roles r WHERE has_table_privilege(r.oid, c.oid, 'SELECT'))
    FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'insforge_integrations'
      JOIN pg_class c ON c.oid = d.objid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND c.relkind IN ('v', 'r')
    ORDER BY c.relname::text COLLATE \"C\"";

fn targets(client: &mut Client) -> Vec<Target> {
    let functions = client
        .query(FUNCTIONS, &[])
        .unwrap()
        .into_iter()
        .map(|row| {
            let types: Vec<String> = row.get(3);
            let kinds: Vec<i8> = row.get(4);
            let names: Vec<String> = row.get(5);
            let parameters = names.into_iter().zip(types).zip(kinds);
            Target {
                name: row.get(0),
                defaults: usize::try_from(row.get::<_, i32>(1)).unwrap(),
                kind: if row.get(2) {
                    Kind::TriggerFunction
                } else {
                    Kind::Function
                },
                parameters: parameters
                    .map(|((name, of_type), kind)| Parameter {
                        name,
                        of_type,
                        kind,
                    })
                    .collect(),
                allowed: row.get(6),
                is_variadic: row.get(7),
            }
        });
    let functions: Vec<_> = functions.collect();
    let relations = client
        .query(RELATIONS, &[])
        .unwrap()
        .into_iter()
        .map(|row| Target {
            name: row.get(0),
            defaults: 0,
            is_variadic: false,
            kind: Kind::Relation,
            parameters: Vec::new(),
            allowed: row.get(1),
        });
    functions.into_iter().chain(relations).collect()
}

/// A session of a role, and the notices that it gets.
struct Session {
    role: &'static str,
    client: Client,
    notices: Receiver<DbError>,
    process: i32,
}

impl Session {
    fn new(database: &Database, role: &'static str) -> Self {
        let (sender, notices) = channel();
        let mut config = database.config();
        config
            .user(role)
            .options("-c statement_timeout=30s")
            .notice_callback(move |notice| {
                let _ = sender.send(notice);
            });
        let mut client = config.connect(NoTls).unwrap();
        let process = client
            .query_one("SELECT pg_backend_pid()", &[])
            .unwrap()
            .get(0);
        Self {
            role,
            client,
            notices,
            process,
        }
    }

    /// Kilobytes of the backend that are its own.
    fn memory(&self) -> i64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process)).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("RssAnon"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

/// One statement, with its parameters and where it is run.
pub struct Call {
    target: String,
    statement: String,
    parameters: Vec<String>,
    surroundings: Surroundings,
}

impl Call {
    fn new(random: &mut Random, target: &Target, world: &World) -> Self {
        let parameters = &target.parameters;
        let omitted = if random.one_in(4) {
            random.below(target.defaults + 1)
        } else {
            0
        };
        // Only valid arguments, or one invalid argument, or several.
        let tame = random.below(3);
        let odd = random.below(parameters.len().max(1));
        let mut texts = Vec::new();
        let mut arguments = Vec::new();
        for (place, parameter) in parameters
            .iter()
            .take(parameters.len() - omitted)
            .enumerate()
        {
            let is_tame = tame == 2 || (tame == 1 && place != odd);
            arguments.push(match argument(random, parameter, world, is_tame) {
                Argument::Expression(expression) => expression,
                Argument::Text(text) => {
                    texts.push(text);
                    format!("${}::text::{}", texts.len(), parameter.of_type)
                }
            });
        }
        if target.is_variadic
            && let Some(last) = arguments.last_mut()
        {
            *last = format!("VARIADIC {last}");
        }
        let (name, arguments) = (&target.name, arguments.join(", "));
        let shown = "SELECT pg_catalog.count(pg_catalog.format('%s', r)) FROM";
        Self {
            target: name.clone(),
            statement: match target.kind {
                Kind::Function if random.one_in(4) => {
                    format!("SELECT pg_catalog.format('%s', {name}({arguments}))")
                }
                Kind::Function => format!("{shown} {name}({arguments}) AS r"),
                Kind::TriggerFunction => format!("SELECT {name}({arguments})"),
                Kind::Relation => format!("{shown} {name} AS r"),
            },
            parameters: texts,
            surroundings: Surroundings::new(random, world),
        }
    }

    /// Makes the call. An error is its answer, unless a surrounding statement raised it.
    fn run(&self, session: &mut Session, ending: &str) -> Result<(), postgres::Error> {
        let client = &mut session.client;
        client.batch_execute(self.surroundings.beginning)?;
        let settings = self.surroundings.settings(session.role == "postgres");
        let set = (0..settings.len() / 2).map(|place| {
            let (name, value) = (2 * place + 1, 2 * place + 2);
            format!("pg_catalog.set_config(${name}, ${value}, true)")
        });
        let set = format!("SELECT {}", set.collect::<Vec<_>>().join(", "));
        client.query_typed(&set, &texts(&settings))?;
        let answer = client.query_typed(&self.statement, &texts(&self.parameters));
        client.batch_execute(ending)?;
        answer.map(drop)
    }
}

fn texts<T: ToSql + Sync>(list: &[T]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    list.iter().map(|text| (text as _, Type::TEXT)).collect()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn nothing_that_is_called_with_anything_breaks_or_tells_a_secret() {
    let seed = number("HOSTILE_SEED").unwrap_or(16);
    println!("HOSTILE_SEED={seed}");
    let limit = Duration::from_secs(number("HOSTILE_SECONDS").unwrap_or(SECONDS));
    let mut random = Random(seed);
    let cluster = Cluster::start_with("log_error_verbosity = verbose").unwrap();
    let world = World::new(&cluster);
    let mut operator = world.database.connect().unwrap();
    let started = |client: &mut Client| -> String {
        client
            .query_one("SELECT pg_postmaster_start_time()::text", &[])
            .unwrap()
            .get(0)
    };
    let server = started(&mut operator);
    let targets = targets(&mut operator);
    let mut sessions = ROLES.map(|role| Session::new(&world.database, role));
    let mut verdicts = Verdicts::new(&world.planted);
    let mut warm = Vec::new();
    let begun = Instant::now();
    let mut calls = 0_u64;
    let mut answered = HashSet::new();
    'run: for rounds in 0_u64.. {
        for target in &targets {
            // Functions without arguments can fail in fewer ways, and some take long.
            let is_skipped = target.parameters.is_empty() && !random.one_in(3);
            for session in &mut sessions {
                let is_allowed = target.allowed.iter().any(|role| role == session.role);
                if is_skipped || (!is_allowed && rounds > 1 && !random.one_in(16)) {
                    continue;
                }
                let call = Call::new(&mut random, target, &world);
                let is_kept = session.role != "postgres" && random.one_in(4);
                let ending = if is_kept { "COMMIT" } else { "ROLLBACK" };
                let answer = call.run(session, ending);
                calls += 1;
                if answer.is_ok() {
                    answered.insert(&target.name);
                }
                if let Err(error) = &answer {
                    let Some(raised) = error.as_db_error() else {
                        panic!(
                            "{seed}: {} as {}: {error}\n{}",
                            call.statement,
                            session.role,
                            cluster.log().unwrap()
                        );
                    };
                    // A surrounding statement may have failed and ended its transaction.
                    session.client.batch_execute("ROLLBACK").unwrap();
                    verdicts.error(&call, session.role, raised);
                }
                verdicts.notices(&call, session.role, &session.notices);
                if begun.elapsed() > limit {
                    break 'run;
                }
            }
        }
        if warm.is_empty() && begun.elapsed() > limit / 3 {
            warm = sessions.iter().map(Session::memory).collect();
        }
    }
    println!(
        "{calls} calls of {} functions and views in {:?}",
        targets.len(),
        begun.elapsed()
    );
    let never = targets.iter().map(|target| &target.name);
    let never: Vec<_> = never.filter(|name| !answered.contains(name)).collect();
    println!("only errors from: {never:?}");
    verdicts.log(&cluster.log().unwrap());
    for (session, before) in sessions.iter().zip(&warm) {
        let (role, now) = (session.role, session.memory());
        println!("memory of a backend of {role}: {before} kB, then {now} kB");
        assert!(
            now - before < GROWTH_KILOBYTES,
            "{seed}: {role} grew from {before} kB to {now} kB"
        );
    }
    assert_eq!(
        started(&mut operator),
        server,
        "{seed}: the server was started again"
    );
    verdicts.report(seed);
}
