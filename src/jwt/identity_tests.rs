//! Claims in the shapes of the providers' documentation and SDKs, as collected per provider.

use super::*;

fn identity(json: &str) -> Identity {
    Identity::from_claims(json).unwrap()
}

fn expect(
    json: &str,
    user: &str,
    org: Option<&str>,
    role: Option<&str>,
    permissions: Option<&[&str]>,
) {
    let expected = Identity {
        user_id: Some(user.to_owned()),
        org_id: org.map(str::to_owned),
        org_role: role.map(str::to_owned),
        permissions: permissions.map(|list| list.iter().map(|text| (*text).to_owned()).collect()),
    };
    assert_eq!(identity(json), expected);
}

#[test]
fn clerk_version_2_with_an_organization() {
    expect(
        r#"{"v":2,"sub":"user_2abc","sid":"sess_1","sts":"active","fea":"o:dashboard,o:teams","pla":"o:pro",
            "o":{"id":"org_2x","slg":"acme","rol":"admin","per":"manage,read","fpm":"3,2"}}"#,
        "user_2abc",
        Some("org_2x"),
        Some("org:admin"),
        Some(&[
            "org:dashboard:manage",
            "org:dashboard:read",
            "org:teams:read",
        ]),
    );
}

#[test]
fn clerk_version_2_without_an_organization() {
    expect(
        r#"{"v":2,"sub":"user_2abc","fea":"u:beta","pla":"u:free"}"#,
        "user_2abc",
        None,
        None,
        None,
    );
}

#[test]
fn clerk_version_2_takes_nothing_from_claims_of_other_shapes() {
    expect(
        r#"{"v":2,"sub":"user_2abc","org_id":"org_other","org_role":"org:admin","permissions":["all"]}"#,
        "user_2abc",
        None,
        None,
        None,
    );
}

#[test]
fn clerk_version_2_with_a_broken_organization_grants_nothing() {
    for o in [
        "[]",
        "\"org_2x\"",
        "{\"id\":7}",
        "{\"id\":\"a\",\"id\":\"b\"}",
    ] {
        expect(
            &format!(r#"{{"v":2,"sub":"u","o":{o}}}"#),
            "u",
            None,
            None,
            None,
        );
    }
}

#[test]
fn clerk_version_1() {
    expect(
        r#"{"sub":"user_2abc","sid":"sess_1","org_id":"org_2x","org_role":"org:admin","org_slug":"acme",
            "org_permissions":["org:teams:read"]}"#,
        "user_2abc",
        Some("org_2x"),
        Some("org:admin"),
        Some(&["org:teams:read"]),
    );
}

#[test]
fn auth0() {
    expect(
        r#"{"iss":"https://t.auth0.com/","sub":"auth0|6553da60a54af58e29493993","aud":["https://api","https://t.auth0.com/userinfo"],
            "org_id":"org_9ybsU1dN2dKfDkBi","org_name":"acme","scope":"openid read:x","permissions":["read:x","write:x"],
            "https://my.app/roles":["admin"]}"#,
        "auth0|6553da60a54af58e29493993",
        Some("org_9ybsU1dN2dKfDkBi"),
        None,
        Some(&["read:x", "write:x"]),
    );
}

#[test]
fn workos() {
    expect(
        r#"{"iss":"https://api.workos.com","sub":"user_01HBEQKA6K4QJAS93VPE39W1JT","sid":"session_01HQSXZGF8FHF7A9ZZFCW4387R",
            "org_id":"org_01HRDMC6CM357W30QMHMQ96Q0S","role":"member","roles":["member"],"permissions":["posts:read"],
            "entitlements":["audit-logs"]}"#,
        "user_01HBEQKA6K4QJAS93VPE39W1JT",
        Some("org_01HRDMC6CM357W30QMHMQ96Q0S"),
        Some("member"),
        Some(&["posts:read"]),
    );
}

#[test]
fn workos_with_the_database_role_in_role() {
    expect(
        r#"{"sub":"user_01H","sid":"session_01H","org_id":"org_01H","role":"authenticated","user_role":"admin"}"#,
        "user_01H",
        Some("org_01H"),
        Some("admin"),
        None,
    );
}

#[test]
fn a_role_outside_workos_is_not_a_role_in_an_organization() {
    expect(
        r#"{"sub":"u","org_id":"o","role":"admin"}"#,
        "u",
        Some("o"),
        None,
        None,
    );
    expect(
        r#"{"sub":"u","sid":"session_1","role":"admin"}"#,
        "u",
        None,
        None,
        None,
    );
    expect(
        r#"{"sub":"u","sid":"session_1","org_id":"o","role":"anon"}"#,
        "u",
        Some("o"),
        None,
        None,
    );
}

#[test]
fn kinde() {
    expect(
        r#"{"aud":[],"azp":"dee7","sub":"kp_0c3ff3d085flo6396as29d4ffee750be7","org_code":"org_1a2b","scp":["openid"],
            "permissions":["create:competitions"],"feature_flags":{"theme":{"t":"s","v":"pink"}}}"#,
        "kp_0c3ff3d085flo6396as29d4ffee750be7",
        Some("org_1a2b"),
        None,
        Some(&["create:competitions"]),
    );
}

#[test]
fn kinde_with_roles_in_the_token() {
    let with_roles = |roles: &str| {
        identity(&format!(
            r#"{{"sub":"kp_1","org_code":"org_1","roles":{roles}}}"#
        ))
        .org_role
    };
    assert_eq!(
        with_roles(r#"[{"id":"1","key":"admin","name":"Admin"}]"#).as_deref(),
        Some("admin")
    );
    assert_eq!(with_roles(r#"["admin"]"#).as_deref(), Some("admin"));
    assert_eq!(
        with_roles(r#"[{"id":"1","key":"a","name":"A"},{"id":"2","key":"b","name":"B"}]"#),
        None
    );
}

#[test]
fn stytch_consumer() {
    expect(
        r#"{"iss":"stytch.com/project-test-1","aud":["project-test-1"],"sub":"user-test-2873cab5",
            "https://stytch.com/session":{"id":"session-test-1","roles":["stytch_user"]}}"#,
        "user-test-2873cab5",
        None,
        None,
        None,
    );
}

#[test]
fn stytch_b2b() {
    let b2b = |roles: &str| {
        format!(
            r#"{{"sub":"member-test-1","https://stytch.com/session":{{"id":"session-test-1","roles":{roles}}},
                "https://stytch.com/organization":{{"organization_id":"organization-test-9","slug":"acme"}}}}"#
        )
    };
    let org = Some("organization-test-9");
    expect(
        &b2b(r#"["stytch_member","editor"]"#),
        "member-test-1",
        org,
        Some("editor"),
        None,
    );
    expect(
        &b2b(r#"["stytch_member"]"#),
        "member-test-1",
        org,
        Some("stytch_member"),
        None,
    );
    expect(
        &b2b(r#"["stytch_member","editor","billing"]"#),
        "member-test-1",
        org,
        None,
        None,
    );
    expect(&b2b("[]"), "member-test-1", org, None, None);
}

#[test]
fn better_auth_user_object_has_no_organization() {
    expect(
        r#"{"id":"abc","sub":"abc","email":"a@b.c","emailVerified":true,"role":"admin","iss":"http://localhost:3000","aud":"http://localhost:3000"}"#,
        "abc",
        None,
        None,
        None,
    );
}

#[test]
fn tokens_minted_for_insforge() {
    expect(
        r#"{"sub":"kp_1","role":"authenticated","aud":"insforge-api","org_id":"org_1","org_role":"owner","permissions":[]}"#,
        "kp_1",
        Some("org_1"),
        Some("owner"),
        Some(&[]),
    );
}

#[test]
fn permissions_of_another_type_are_left_out() {
    for permissions in [
        "null",
        "\"read\"",
        "[\"read\", 1]",
        "{\"read\":true}",
        "[[\"read\"]]",
    ] {
        assert_eq!(
            identity(&format!(r#"{{"sub":"u","permissions":{permissions}}}"#)).permissions,
            None
        );
    }
}

#[test]
fn refuses_nul_in_what_identifies() {
    for (json, claim) in [
        (r#"{"sub":"a\u0000b"}"#, "sub"),
        (r#"{"sub":"a","org_id":"\u0000"}"#, "org_id"),
        (r#"{"sub":"a","org_role":"\u0000"}"#, "org_role"),
        (r#"{"sub":"a","permissions":["x","\u0000"]}"#, "permissions"),
    ] {
        assert_eq!(
            Identity::from_claims(json),
            Err(Error::ClaimContainsNul { claim })
        );
    }
}
