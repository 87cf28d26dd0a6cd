//! Every privilege on every object of the extension.

use insforge_integrations_tests::{Cluster, Fixture, shared_cluster};
use postgres::Client;

/// Every privilege that somebody other than the owner has, in the notation of GRANT.
///
/// The list is complete: only superusers have other privileges.
const GRANTED: &[&str] = &[
    "EXECUTE ON function insforge_integrations.advise() TO project_admin",
    "EXECUTE ON function insforge_integrations.authenticate(pg_catalog.text,pg_catalog.text) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.deauthenticate() TO PUBLIC",
    "EXECUTE ON function insforge_integrations.eip712_digest(pg_catalog.jsonb) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.eip712_domain_separator(pg_catalog.jsonb) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.eip712_encode_type(pg_catalog.jsonb,pg_catalog.text) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.eip712_hash_struct(pg_catalog.jsonb,pg_catalog.text,pg_catalog.jsonb) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.eip712_recover(pg_catalog.jsonb,pg_catalog.text) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.eip712_verify(pg_catalog.jsonb,pg_catalog.text,pg_catalog.text) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.inspect_provider_jwt(pg_catalog.text,pg_catalog.text) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.issue_insforge_token(pg_catalog.text,pg_catalog.jsonb,interval) TO project_admin",
    "EXECUTE ON function insforge_integrations.keccak256(pg_catalog.bytea) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.map_x402_payer(pg_catalog.text,pg_catalog.text) TO project_admin",
    "EXECUTE ON function insforge_integrations.pre_request() TO PUBLIC",
    "EXECUTE ON function insforge_integrations.recover_signer(pg_catalog.bytea,pg_catalog.text) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.refresh_x402_sums() TO project_admin",
    "EXECUTE ON function insforge_integrations.resolve_x402_reservation(pg_catalog.uuid,pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.text) TO project_admin",
    "EXECUTE ON function insforge_integrations.to_checksum_address(pg_catalog.text) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.verify_provider_jwt(pg_catalog.text,pg_catalog.text) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.verify_x402_payment(pg_catalog.text,pg_catalog.jsonb,boolean) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.x402_can_land_until(timestamp with time zone) TO project_admin",
    "EXECUTE ON function insforge_integrations.x402_decode_header(pg_catalog.text) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.x402_facilitator_request(pg_catalog.text,pg_catalog.jsonb,pg_catalog.text,pg_catalog.text) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.x402_facilitator_request(pg_catalog.uuid,pg_catalog.text) TO project_admin",
    "EXECUTE ON function insforge_integrations.x402_payment_required_header(pg_catalog.jsonb,pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.text) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.x402_payment_requirements(pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.text,integer,pg_catalog.text,integer,pg_catalog.text,pg_catalog.text,pg_catalog.text) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.x402_payment_response_header(pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.text) TO PUBLIC",
    "EXECUTE ON function insforge_integrations.x402_payment_response_header(pg_catalog.uuid) TO project_admin",
    "EXECUTE ON function insforge_integrations_internal.session_status() TO pg_monitor",
    "EXECUTE ON function insforge_integrations_internal.session_status() TO project_admin",
    "EXECUTE ON function public.correct_x402_settlement(pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.uuid) TO project_admin",
    "EXECUTE ON function public.exchange_provider_token(pg_catalog.text,pg_catalog.text) TO anon",
    "EXECUTE ON function public.exchange_provider_token(pg_catalog.text,pg_catalog.text) TO authenticated",
    "EXECUTE ON function public.exchange_provider_token(pg_catalog.text,pg_catalog.text) TO project_admin",
    "EXECUTE ON function public.mark_x402_delivered(pg_catalog.uuid) TO project_admin",
    "EXECUTE ON function public.mock_x402_settlement(pg_catalog.uuid) TO project_admin",
    "EXECUTE ON function public.record_x402_settlement(pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.text,boolean) TO project_admin",
    "EXECUTE ON function public.requesting_claims() TO PUBLIC",
    "EXECUTE ON function public.requesting_org_id() TO PUBLIC",
    "EXECUTE ON function public.requesting_org_role() TO PUBLIC",
    "EXECUTE ON function public.requesting_permissions() TO PUBLIC",
    "EXECUTE ON function public.requesting_user_id() TO PUBLIC",
    "EXECUTE ON function public.reserve_x402_payment(pg_catalog.text,pg_catalog.jsonb,pg_catalog.text,pg_catalog.text,pg_catalog.text,boolean) TO project_admin",
    "EXECUTE ON function public.settle_x402_reservation(pg_catalog.uuid,pg_catalog.jsonb,pg_catalog.text) TO project_admin",
    "EXECUTE ON function public.x402_challenge(pg_catalog.jsonb,pg_catalog.text,pg_catalog.text,pg_catalog.text,pg_catalog.text) TO project_admin",
    "EXECUTE ON function public.x402_receipt(pg_catalog.text,pg_catalog.uuid) TO project_admin",
    "EXECUTE ON function public.x402_settlement_request(pg_catalog.uuid,pg_catalog.text,pg_catalog.text) TO project_admin",
    "INSERT ON view public.x402_payments TO project_admin",
    "SELECT ON table insforge_integrations.x402_corrections TO project_admin",
    "SELECT ON view insforge_integrations.status TO pg_monitor",
    "SELECT ON view insforge_integrations.status TO project_admin",
    "SELECT ON view insforge_integrations.undelivered_x402_reservations TO project_admin",
    "SELECT ON view insforge_integrations.unsettled_x402_reservations TO project_admin",
    "SELECT ON view insforge_integrations.x402_assets TO PUBLIC",
    "SELECT ON view insforge_integrations.x402_networks TO PUBLIC",
    "SELECT ON view insforge_integrations.x402_receipts TO project_admin",
    "SELECT ON view insforge_integrations.x402_totals TO project_admin",
    "SELECT ON view public.x402_payments TO project_admin",
    "SELECT ON view public.x402_revenue TO project_admin",
    "USAGE ON schema insforge_integrations TO PUBLIC",
    "USAGE ON schema insforge_integrations_internal TO PUBLIC",
    "USAGE ON type insforge_integrations.evm_address TO PUBLIC",
    "USAGE ON type insforge_integrations.evm_amount TO PUBLIC",
    "USAGE ON type insforge_integrations.evm_hash TO PUBLIC",
    "USAGE ON type insforge_integrations.x402_reservation TO PUBLIC",
    "USAGE ON type insforge_integrations.x402_state TO PUBLIC",
];

/// The objects of the extension. From Postgres 17 on, pg_depend also has the types that it makes with each table and type.
fn about_members(query: &str) -> String {
    format!(
        "WITH member AS (
           SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
           WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'insforge_integrations'
             AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_type'::regclass AND d.classid = i.classid
                                                       AND d.objid = i.objid AND i.deptype = 'i')
         ) {query}"
    )
}

fn granted(client: &mut Client) -> Vec<String> {
    client
        .query(
            &about_members(
            ", acl AS (
               SELECT m.*, p.proowner AS owner, coalesce(p.proacl, acldefault('f', p.proowner)) AS acl
                 FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
               UNION ALL
               SELECT m.*, c.relowner, coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", c.relowner))
                 FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
               UNION ALL
               SELECT m.*, c.relowner, a.attacl
                 FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attacl IS NOT NULL
               UNION ALL
               SELECT m.*, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner))
                 FROM member m JOIN pg_namespace n ON m.classid = 'pg_namespace'::regclass AND n.oid = m.objid
               UNION ALL
               SELECT m.*, t.typowner, coalesce(t.typacl, acldefault('T', t.typowner))
                 FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
             )
             SELECT format('%s ON %s %s TO %s', x.privilege_type, o.type, o.identity,
                           CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END)
             FROM acl, aclexplode(acl.acl) x, pg_identify_object(acl.classid, acl.objid, 0) o
             WHERE x.grantee <> acl.owner
             ORDER BY 1",
            ),
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

/// The query above must know every kind of object that the extension has.
fn kinds(client: &mut Client) -> Vec<String> {
    client
        .query(
            &about_members(
                "SELECT DISTINCT o.type FROM member m, pg_identify_object(m.classid, m.objid, 0) o ORDER BY 1",
            ),
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

#[test]
fn under_insforge_default_privileges() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    assert_eq!(
        kinds(&mut client),
        [
            "event trigger",
            "function",
            "schema",
            "table",
            "type",
            "view"
        ]
    );
    assert_eq!(granted(&mut client), GRANTED);
}

#[test]
fn under_default_privileges_that_give_everything_away() {
    let database = shared_cluster().database(Fixture::InsForge).unwrap();
    let mut client = database.connect().unwrap();
    for objects in ["TABLES", "SEQUENCES", "FUNCTIONS", "SCHEMAS"] {
        client
            .batch_execute(&format!(
                "ALTER DEFAULT PRIVILEGES GRANT ALL ON {objects} TO anon, PUBLIC, authenticated"
            ))
            .unwrap();
    }
    client
        .batch_execute("CREATE EXTENSION insforge_integrations")
        .unwrap();
    assert_eq!(granted(&mut client), GRANTED);
}

#[test]
fn without_insforge_roles_and_with_roles_that_come_later() {
    let cluster = Cluster::start().unwrap();
    let database = cluster.database(Fixture::Empty).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute("CREATE EXTENSION insforge_integrations")
        .unwrap();
    // Every server has pg_monitor.
    let is_of_any_server = |privilege: &&&str| {
        privilege.ends_with(" TO PUBLIC") || privilege.ends_with(" TO pg_monitor")
    };
    let of_any_server: Vec<&str> = GRANTED.iter().filter(is_of_any_server).copied().collect();
    assert_eq!(granted(&mut client), of_any_server);
    client
        .batch_execute(
            "CREATE ROLE anon LOGIN; CREATE ROLE authenticated; CREATE ROLE project_admin;
             GRANT ALL ON insforge_integrations.settings TO anon WITH GRANT OPTION;
             SET ROLE anon; GRANT SELECT ON insforge_integrations.settings TO project_admin; RESET ROLE;
             GRANT SELECT (value) ON insforge_integrations.settings TO authenticated;
             GRANT ALL ON SCHEMA insforge_integrations TO authenticated;
             REVOKE EXECUTE ON FUNCTION requesting_user_id() FROM PUBLIC",
        )
        .unwrap();
    assert_ne!(granted(&mut client), GRANTED);
    client
        .execute(
            "SELECT insforge_integrations.grant_to_insforge_roles()",
            &[],
        )
        .unwrap();
    client
        .execute(
            "SELECT insforge_integrations.grant_to_insforge_roles()",
            &[],
        )
        .unwrap();
    assert_eq!(granted(&mut client), GRANTED);
    let mut anon = database.connect_as("anon").unwrap();
    assert_eq!(
        anon.query_one("SELECT requesting_user_id()", &[])
            .unwrap()
            .get::<_, Option<String>>(0),
        None
    );
}

#[test]
fn functions_with_the_rights_of_their_owner_pin_their_search_path() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let unpinned = client
        .query(
            "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid
             WHERE d.deptype = 'e' AND d.classid = 'pg_proc'::regclass AND p.prosecdef
               AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(p.proconfig, '{}'))",
            &[],
        )
        .unwrap();
    assert!(unpinned.is_empty());
}

#[test]
fn every_object_has_a_comment() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let silent: Vec<String> = client
        .query(
            &about_members(
                "SELECT o.identity FROM member m, pg_identify_object(m.classid, m.objid, 0) o
                 WHERE coalesce(obj_description(m.objid, m.classid::regclass::name), '') = ''",
            ),
            &[],
        )
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
}
