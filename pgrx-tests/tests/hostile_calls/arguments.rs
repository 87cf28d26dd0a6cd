//! Arguments for the calls.

use serde_json::Value as Json;

use crate::world::World;

/// Numbers that follow from a seed (SplitMix64).
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// An argument: a text that is cast to the argument's type, or an expression.
#[derive(Clone)]
pub(crate) enum Argument {
    Text(String),
    Expression(String),
}

/// An argument of a function, from the catalog.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub name: String,
    pub of_type: String,
    /// `typtype` of pg_type.
    pub kind: i8,
}

const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "40",
    "64",
    "300",
    "2147483647",
    "-2147483648",
];
const NUMERICS: &[&str] = &[
    "0",
    "1",
    "-1",
    "0.5",
    "NaN",
    "Infinity",
    "-Infinity",
    "1e131071",
    "1e-16383",
    "115792089237316195423570985008687907853269984665640564039457584007913129639936",
];
const INTERVALS: &[&str] = &[
    "0",
    "-1 second",
    "1 microsecond",
    "90 seconds",
    "5 minutes",
    "1 hour",
    "1 day",
    "1 month",
    "178000000 years",
    "-178000000 years",
    "2147483647 days",
    "2147483647 months 2147483647 days 2562047788:00:54.775807",
    "-2147483648 months -2147483648 days -2562047788:00:54.775808",
];
const TIMES: &[&str] = &[
    "now",
    "epoch",
    "infinity",
    "-infinity",
    "4713-11-24 00:00:00+00 BC",
    "294276-12-31 23:59:59.999999+00",
    "2026-02-29 00:00:00+00:00:01",
];
const UUIDS: &[&str] = &[
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "{a0eebc999c0b4ef8bb6d6bb9bd380a11}",
];
const ARRAYS: &[&str] = &[
    "{}",
    "{NULL}",
    "{a,NULL,\"\"}",
    "{{a,b},{c,d}}",
    "{{{NULL}}}",
    "[5:6]={a,b}",
    "{https://issuer.example}",
    "{\"\\\"\",\"\\\\\",\",\"}",
    "{RS256}",
    "{none}",
];
const BYTES: &[&str] = &["", "\\x", "\\x00", "abc", "\\x2222"];
/// Relations and functions of every kind; some that are not there.
const OIDS: &[&str] = &[
    "0",
    "1",
    "4294967295",
    "16383",
    "987654",
    "1259",
    "1247",
    "2619",
    "3456",
    "2662",
    "826",
    "11",
];
const RELATIONS: &[&str] = &[
    "public.guide_payments",
    "public.moody",
    "public.parted",
    "insforge_integrations.x402_settlements",
    "insforge_integrations.x402_networks",
    "insforge_integrations.settings",
    "pg_catalog.pg_class",
    "pg_catalog.pg_class_oid_index",
    "pg_catalog.pg_authid",
    "better_auth.session",
    "information_schema.tables",
];
const FUNCTIONS: &[&str] = &[
    "public.requesting_user_id_guide()",
    "public.requesting_user_id()",
    "pg_catalog.now()",
    "pg_catalog.lower(text)",
    "evil.shadow()",
    "pg_catalog.count(\"any\")",
    "pg_catalog.textin(cstring)",
];
const TEXTS: &[&str] = &[
    "",
    " ",
    "\n",
    "a",
    "0",
    "-0",
    "-1",
    "00",
    "+1",
    "1e999999",
    "NaN",
    "0x",
    "0X",
    "0xzz",
    "'",
    "\"",
    "\\",
    "$$",
    "%s%n%%",
    "NULL",
    "'; SELECT 1; --",
    "{",
    "[",
    "null",
    "{}",
    "[]",
    "a.b.c",
    "..",
    ".",
    "e30.e30.",
    "%",
    "%zz",
    "%00",
    "\u{feff}",
    "\u{202e}x",
    "\u{10ffff}",
    "e\u{301}",
    "\u{1}",
    "\u{7f}",
    "\u{85}",
    "İ",
    "ß",
    "💥",
    "日本",
    "9223372036854775808",
    "115792089237316195423570985008687907853269984665640564039457584007913129639936",
    "0x0000000000000000000000000000000000000000",
    "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "00000000-0000-0000-0000-000000000000",
    "infinity",
    "2026-02-30",
    "((((((((((",
    "(a*)*(a*)*$",
    "(?P<x>",
    "[^",
    "a{1000}{1000}",
    "http://",
    "https://",
    "https://[::",
    "https://a:b@c/",
    "http://127.0.0.1:9/x",
    "file:///etc/passwd",
    "/dev/zero",
    "/etc/passwd",
    "/",
    "pg_catalog",
    "pg_class",
    "x'y\"z",
    "anon",
    "postgres",
    "public",
    "pg_read_all_data",
    "eip155:",
    "eip155:0",
    "eip155:99999999999999999999999999999999",
    ":",
    "POST",
    "Bearer ",
    "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
    "uint256",
    "Mail",
    "tuple",
    "uint256[][999999999999]",
];
const JSONS: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "1e400",
    "-1e-400",
    "0.1",
    "\"\"",
    "\"a\"",
    "[]",
    "{}",
    "[[]]",
    "[null]",
    "{\"\": null}",
    "{\"keys\": []}",
    "{\"keys\": [{}]}",
    "{\"keys\": [{\"kty\": \"RSA\", \"n\": \"\", \"e\": \"AAAA\"}]}",
    "{\"keys\": {\"a\": 1}}",
    "{\"success\": true}",
    "{\"code\": \"0\"}",
    "{\"code\": 0, \"data\": [1, 2]}",
    "{\"sub\": 1}",
    "{\"exp\": 1}",
    "{\"accepts\": []}",
    "[{\"scheme\": \"upto\"}]",
    "{\"scheme\": \"exact\", \"network\": 1}",
    "{\"types\": {}, \"primaryType\": \"\", \"domain\": {}, \"message\": {}}",
    "{\"Mail\": []}",
    "{\"Mail\": [{\"name\": \"to\", \"type\": \"Mail\"}]}",
    "{\"EIP712Domain\": [{\"name\": \"x\", \"type\": \"uint256[99999999]\"}]}",
    "{\"chainId\": -1}",
    "{\"to\": \"0x\"}",
];

/// Longer than anything that anybody sends.
fn huge(random: &mut Random) -> String {
    let part = *random.pick(&[
        "a", "é", "0", "[", "{\"a\":", "a.", "0x", "\u{1}", "%41", "(", "AAAA",
    ]);
    part.repeat((1 << 20) / part.len())
}

/// Replaces or removes something in one place.
fn change(random: &mut Random, value: &mut Json, world: &World) {
    let is_here = random.one_in(4);
    match value {
        Json::Object(members) if !is_here && !members.is_empty() => {
            let names: Vec<_> = members.keys().cloned().collect();
            let name = random.pick(&names);
            if random.one_in(8) {
                members.remove(name);
            } else {
                change(random, &mut members[name], world);
            }
        }
        Json::Array(items) if !is_here && !items.is_empty() => {
            let index = random.below(items.len());
            change(random, &mut items[index], world);
        }
        _ => {
            *value = match random.below(4) {
                0 => Json::from(*random.pick::<&str>(TEXTS)),
                1 => Json::from(random.pick(&world.credentials).as_str()),
                _ => serde_json::from_str(random.pick::<&str>(JSONS)).unwrap_or(Json::Null),
            }
        }
    }
}

fn mutated(random: &mut Random, json: &str, world: &World) -> Option<String> {
    let mut value: Json = serde_json::from_str(json).ok()?;
    change(random, &mut value, world);
    Some(value.to_string())
}

fn json(random: &mut Random, world: &World) -> String {
    match random.below(9) {
        0 => Json::from(random.pick(&world.credentials).as_str()).to_string(),
        8 => {
            serde_json::json!({ random.pick(&world.credentials): *random.pick(TEXTS) }).to_string()
        }
        1 => {
            serde_json::json!({ *random.pick(TEXTS): random.pick(&world.credentials) }).to_string()
        }
        2 if random.one_in(4) => format!("{}{}", "[".repeat(3000), "]".repeat(3000)),
        2 if random.one_in(4) => format!("{}1{}", "{\"a\":".repeat(3000), "}".repeat(3000)),
        2 if random.one_in(4) => format!("[{}1]", "1,".repeat(50_000)),
        3 if random.one_in(4) => Json::from("é".repeat(1 << 19)).to_string(),
        3 | 4 => {
            let lists: Vec<_> = world
                .expected
                .values()
                .flatten()
                .filter(|text| text.starts_with('{'))
                .collect();
            let mut lists = lists;
            lists.sort_unstable();
            let text = random.pick(&lists).as_str();
            mutated(random, text, world).unwrap_or_else(|| text.to_owned())
        }
        _ => (*random.pick(JSONS)).to_owned(),
    }
}

fn text(random: &mut Random, world: &World) -> String {
    match random.below(10) {
        0..=2 => random.pick(&world.credentials).clone(),
        3 => json(random, world),
        4 if random.one_in(6) => huge(random),
        5 => {
            let one = random.pick(&world.credentials);
            let cut = one
                .char_indices()
                .map(|(index, _)| index)
                .nth(random.below(one.len().min(40)))
                .unwrap_or(0);
            format!("{}{}{}", &one[..cut], random.pick(TEXTS), &one[cut..])
        }
        _ => (*random.pick(TEXTS)).to_owned(),
    }
}

/// An argument for a parameter: sometimes a valid one, mostly not.
pub(crate) fn argument(
    random: &mut Random,
    parameter: &Parameter,
    world: &World,
    is_tame: bool,
) -> Argument {
    let of_type = parameter.of_type.as_str();
    let null = || Argument::Expression(format!("NULL::{of_type}"));
    if let Some(expected) = world.expected.get(parameter.name.as_str())
        && (is_tame || random.one_in(4))
        && (of_type != "jsonb" || expected.iter().all(|text| text.starts_with(['{', '['])))
        && ["text", "text[]", "jsonb", "uuid", "bytea", "name"].contains(&of_type)
    {
        let one = random.pick(expected).clone();
        if !is_tame && of_type != "text[]" && random.one_in(2) {
            return Argument::Text(mutated(random, &one, world).unwrap_or(one));
        }
        return Argument::Text(one);
    }
    if random.one_in(8) {
        return null();
    }
    let fixed =
        |random: &mut Random, list: &[&str]| Argument::Text((*random.pick(list)).to_owned());
    match of_type {
        "text" | "character varying" => Argument::Text(text(random, world)),
        "jsonb" | "json" => Argument::Text(json(random, world)),
        "boolean" => fixed(random, &["true", "false"]),
        "smallint" => fixed(random, &["0", "1", "-1", "32767", "-32768"]),
        "integer" | "bigint" => fixed(random, INTEGERS),
        "numeric" => fixed(random, NUMERICS),
        "interval" => fixed(random, INTERVALS),
        "timestamp with time zone" | "timestamp without time zone" => fixed(random, TIMES),
        "uuid" => fixed(random, UUIDS),
        "oid" => fixed(random, OIDS),
        "regclass" if random.one_in(2) => fixed(random, RELATIONS),
        "regprocedure" if random.one_in(2) => fixed(random, FUNCTIONS),
        "regclass" | "regproc" | "regprocedure" | "regtype" | "regrole" | "regnamespace" => {
            fixed(random, OIDS)
        }
        "name" => fixed(random, &["", "public", "better_auth", "nowhere", "x\"y"]),
        "text[]" => match random.below(4) {
            0 => {
                let quoted = random
                    .pick(&world.credentials)
                    .replace('\\', "\\\\")
                    .replace('"', "\\\"");
                Argument::Text(format!("{{\"{quoted}\",NULL}}"))
            }
            1 if random.one_in(8) => Argument::Text(format!("{{{}a}}", "a,".repeat(20_000))),
            _ => fixed(random, ARRAYS),
        },
        "bytea" => match random.below(4) {
            0 => Argument::Text(format!(
                "\\x{}",
                random
                    .pick(&["00", "ff", "7f"])
                    .repeat(*random.pick(&[31, 32, 33, 65]))
            )),
            1 if random.one_in(6) => Argument::Text("x".repeat(1 << 20)),
            _ => fixed(random, BYTES),
        },
        // A composite: a row of nothing, or of what it can be read from.
        _ if parameter.kind == b'c' as i8 => match random.below(3) {
            0 => null(),
            1 => Argument::Expression(format!("jsonb_populate_record(NULL::{of_type}, '{{}}')")),
            _ => Argument::Expression(format!("(SELECT r FROM {of_type} r LIMIT 1)")),
        },
        _ => null(),
    }
}
