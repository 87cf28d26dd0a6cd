//! The description of the data API that PostgREST gives to editors and generators.

use super::server::{Call, Server, Setup, programs};
use super::{insforge_token, prepared};

/// The first line of a COMMENT is the summary, and the rest is the description.
#[test]
fn openapi_has_summaries_and_descriptions() {
    for program in programs() {
        let (database, mut superuser) = prepared();
        let setup = Setup {
            pre_request: None,
            pool: 10,
        };
        let server = Server::start(program, &database, setup);
        let admin = insforge_token("project_admin", None);
        let document = server.answer(&Call::get("/").bearer(&admin)).body;
        let comments = superuser
            .query(
                "SELECT CASE o.type WHEN 'function' THEN '/rpc/' || o.name ELSE '/' || o.name END, o.type = 'view', obj_description(d.objid, d.classid::regclass::name)
                 FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid,
                      LATERAL (SELECT i.type, coalesce(p.proname, c.relname) AS name, coalesce(p.pronamespace, c.relnamespace) AS schema
                               FROM pg_identify_object(d.classid, d.objid, 0) i
                                 LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
                                 LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid) o
                 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'insforge_integrations'
                   AND o.type IN ('function', 'view') AND o.schema = 'public'::regnamespace",
                &[],
            )
            .unwrap();
        assert!(comments.len() > 15, "{}", comments.len());
        for row in comments {
            let (path, is_view, comment): (String, bool, String) =
                (row.get(0), row.get(1), row.get(2));
            let (summary, description) = comment.split_once("\n\n").unwrap();
            let shown = &document["paths"][&path][if is_view { "get" } else { "post" }];
            assert_eq!(shown["summary"], summary, "{} {path}", program.version);
            assert_eq!(
                shown["description"], description,
                "{} {path}",
                program.version
            );
        }
    }
}
