//! The objects of the extension for people, as the catalog has them.

use insforge_integrations_tests::{Fixture, shared_cluster};
use serde_json::Value;

/// Functions, views, tables and types in the two schemas for people, each with its COMMENT.
const OBJECTS: &str = r#"
    WITH type AS (
      SELECT t.oid, regexp_replace(format_type(t.oid, NULL), '^insforge_integrations\.', '') AS name,
             format_type(CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END, NULL) AS base
      FROM pg_type t
    ), col AS (
      SELECT a.attrelid, json_agg(json_build_object(
               'name', a.attname, 'type', t.name, 'base', t.base, 'not_null', a.attnotnull,
               'comment', coalesce(col_description(a.attrelid, a.attnum), '')) ORDER BY a.attnum) AS list
      FROM pg_attribute a JOIN type t ON t.oid = a.atttypid WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY 1
    ), object AS (
      SELECT 'function' AS kind, p.pronamespace AS schema, p.proname AS name, p.oid, 'pg_proc' AS catalog, coalesce(p.proacl, acldefault('f', p.proowner)) AS acl,
             (SELECT coalesce(json_agg(json_build_object('name', a.name, 'type', t.name, 'base', t.base,
                       'default', regexp_replace(pg_get_function_arg_default(p.oid, a.number::integer), '::[a-z \[\]]+$', '')) ORDER BY a.number), '[]')
              FROM unnest(coalesce(p.proallargtypes, p.proargtypes), p.proargnames, p.proargmodes::text[]) WITH ORDINALITY a(type, name, mode, number)
                JOIN type t ON t.oid = a.type WHERE coalesce(a.mode, 'i') = 'i') AS arguments,
             coalesce((SELECT json_agg(json_build_object('name', a.name, 'type', t.name, 'base', t.base, 'not_null', true) ORDER BY a.number)
                       FROM unnest(p.proallargtypes, p.proargnames, p.proargmodes::text[]) WITH ORDINALITY a(type, name, mode, number)
                         JOIN type t ON t.oid = a.type WHERE a.mode IN ('t', 'o')), r.list, '[]') AS columns,
             json_build_object('name', t.name, 'base', t.base, 'set', p.proretset, 'is_row', r.list IS NOT NULL) AS returns
      FROM pg_proc p JOIN type t ON t.oid = p.prorettype
        LEFT JOIN pg_class c ON c.reltype = p.prorettype LEFT JOIN col r ON r.attrelid = c.oid
      UNION ALL
      SELECT CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END, c.relnamespace, c.relname, c.oid, 'pg_class', c.relacl, '[]', l.list, NULL
      FROM pg_class c JOIN col l ON l.attrelid = c.oid WHERE c.relkind IN ('r', 'v')
      UNION ALL
      SELECT 'type', y.typnamespace, y.typname, y.oid, 'pg_type', NULL::aclitem[], '[]', coalesce(l.list, '[]'),
             json_build_object('base', t.base, 'values', (
               SELECT json_agg(v.value[1]) FROM pg_constraint k, regexp_matches(pg_get_constraintdef(k.oid), $$'(\w+)'::text$$, 'g') v(value) WHERE k.contypid = y.oid))
      FROM pg_type y JOIN type t ON t.oid = y.oid LEFT JOIN pg_class c ON c.oid = y.typrelid LEFT JOIN col l ON l.attrelid = c.oid
      WHERE y.typtype = 'd' OR c.relkind = 'c'
    )
    SELECT json_agg(json_build_object(
             'kind', o.kind, 'schema', n.nspname, 'name', o.name, 'arguments', o.arguments, 'columns', o.columns, 'returns', o.returns,
             'comment', coalesce(obj_description(o.oid, o.catalog), ''),
             'roles', (SELECT coalesce(json_agg(g.role ORDER BY g.role COLLATE "C"), '[]') FROM (
               SELECT DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END AS role
               FROM aclexplode(o.acl) x WHERE x.grantee <> 'postgres'::regrole) g))
           ORDER BY o.name COLLATE "C", json_array_length(o.arguments) DESC)
    FROM object o JOIN pg_namespace n ON n.oid = o.schema
    WHERE n.nspname IN ('public', 'insforge_integrations') AND EXISTS (
      SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'insforge_integrations'
      WHERE d.classid = o.catalog::regclass AND d.objid = o.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e')"#;

/// An argument or a column.
pub(crate) struct Part {
    pub name: String,
    pub kind: String,
    /// The built-in type below a domain.
    pub base: String,
    /// Of an argument.
    pub default: Option<String>,
    pub not_null: bool,
    pub comment: String,
}

pub(crate) struct Object {
    /// function, view, table or type
    pub kind: String,
    pub schema: String,
    pub name: String,
    pub arguments: Vec<Part>,
    /// Of a relation, or of the rows that a function returns.
    pub columns: Vec<Part>,
    /// The type of the answer, if it is no row.
    pub returns: String,
    pub returns_base: String,
    pub returns_set: bool,
    /// Whether the type of the answer is a named row.
    pub is_row: bool,
    /// The values that a domain lists.
    pub values: Vec<String>,
    pub comment: String,
    /// Who has a privilege on it, besides superusers.
    pub roles: Vec<String>,
}

impl Object {
    /// The COMMENT's first line.
    pub(crate) fn summary(&self) -> &str {
        self.comment.lines().next().unwrap_or_default()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn parts(value: &Value) -> Vec<Part> {
    let all = value.as_array().into_iter().flatten();
    all.map(|part| Part {
        name: text(&part["name"]),
        kind: text(&part["type"]),
        base: text(&part["base"]),
        default: part["default"].as_str().map(str::to_owned),
        not_null: part["not_null"] == true,
        comment: text(&part["comment"]),
    })
    .collect()
}

/// The objects, ordered by name.
pub(crate) fn objects() -> Vec<Object> {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let all: Value = client.query_one(OBJECTS, &[]).unwrap().get(0);
    let all = all.as_array().unwrap();
    assert!(all.len() > 90, "{}", all.len());
    all.iter()
        .map(|object| Object {
            kind: text(&object["kind"]),
            schema: text(&object["schema"]),
            name: text(&object["name"]),
            arguments: parts(&object["arguments"]),
            columns: parts(&object["columns"]),
            returns: text(&object["returns"]["name"]),
            returns_base: text(&object["returns"]["base"]),
            returns_set: object["returns"]["set"] == true,
            is_row: object["returns"]["is_row"] == true,
            values: texts(&object["returns"]["values"]),
            comment: text(&object["comment"]),
            roles: texts(&object["roles"]),
        })
        .collect()
}

/// PostgREST shows the first line as the summary, and what follows as the description.
#[test]
fn every_comment_begins_with_a_short_line() {
    for object in objects() {
        let summary = object.summary();
        assert!(summary.len() <= 100, "{}: {summary}", object.name);
        assert!(summary.ends_with('.'), "{}: {summary}", object.name);
        let rest = &object.comment[summary.len()..];
        assert!(
            rest.is_empty() || rest.starts_with("\n\n"),
            "{}: no blank line after the first line",
            object.name
        );
    }
}

/// PostgREST shows the comments of columns, too.
#[test]
fn every_column_has_a_comment() {
    for object in objects() {
        let columns = object.columns.iter().filter(|_| object.kind != "function");
        for column in columns {
            let name = format!("{}.{}", object.name, column.name);
            assert!(
                column.comment.ends_with('.') || column.comment.ends_with('?'),
                "{name}: {}",
                column.comment
            );
        }
    }
}

/// An item `- name: text` of a COMMENT is about an argument or column.
#[test]
fn comments_name_arguments_that_exist() {
    let mut count = 0;
    for object in objects() {
        for line in object.comment.lines() {
            let Some((names, _)) = line
                .strip_prefix("- ")
                .and_then(|line| line.split_once(": "))
            else {
                continue;
            };
            for name in names.split(", ") {
                let mut known = object.arguments.iter().chain(&object.columns);
                assert!(
                    known.any(|part| part.name == name),
                    "{}: {name}",
                    object.name
                );
                count += 1;
            }
        }
    }
    assert!(count > 50, "{count}");
}
