//! `requesting_user_id()` and its family.
//!
//! RLS calls these once a row. The answers are kept as finished values; while the bound identity or
//! `request.jwt.claims` holds the same text and the settings are the same, a call compares that text
//! and returns a copy. Everything else happens in [`recompute`].

use std::ffi::{CStr, CString};

use pgrx::pg_sys::{self, Datum, FunctionCallInfo};
use pgrx::prelude::*;

use super::backend::{BackendLocal, function_info, unguarded};
use super::encoding::{from_server, text_datum};
use super::error::Result;
use super::settings;
use super::{bound_identity, claims_variable};
use crate::error::Error;
use crate::jwt::identity::Identity;
use crate::settings::IdentitySource;

/// What a function of the family answers with; the index of its answer.
#[derive(Clone, Copy)]
#[repr(usize)]
enum Question {
    UserId,
    OrgId,
    OrgRole,
    Permissions,
}

/// A value of a variable-length type, header included; `None` is NULL.
type Answer = Option<Box<[u8]>>;

struct Known {
    settings_generation: u64,
    /// When a bound identity ends, on Postgres' clock; `None` for claims, which nobody verified here.
    ends: Option<pg_sys::TimestampTz>,
    /// The bound identity or the claims that the answers are from.
    source: CString,
    answers: [Answer; 4],
}

static KNOWN: BackendLocal<Option<Known>> = BackendLocal::new(None);

/// One SQL function without arguments, called through the version 1 convention.
macro_rules! sql_function {
    ($name:ident, $info:ident, $question:ident) => {
        #[doc = concat!("SQL function `", stringify!($name), "()`; see sql/identity.sql.")]
        ///
        /// # Safety
        /// Called by Postgres' function manager.
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name(call: FunctionCallInfo) -> Datum {
            // SAFETY: the function manager gives a valid call.
            unsafe { answer(Question::$question, call) }
        }

        function_info!($info);
    };
}

sql_function!(requesting_user_id, pg_finfo_requesting_user_id, UserId);
sql_function!(requesting_org_id, pg_finfo_requesting_org_id, OrgId);
sql_function!(requesting_org_role, pg_finfo_requesting_org_role, OrgRole);
sql_function!(
    requesting_permissions,
    pg_finfo_requesting_permissions,
    Permissions
);

/// The answer of `requesting_user_id()`, for other code of this library.
///
/// # Safety
/// Called in a transaction, under a guard.
pub unsafe fn user_id() -> Option<Datum> {
    // SAFETY: a call without arguments needs no more of the structure than where it says NULL.
    unsafe {
        let mut call = pg_sys::FunctionCallInfoBaseData::default();
        let value = answer(Question::UserId, &raw mut call);
        (!call.isnull).then_some(value)
    }
}

/// # Safety
/// `call` is a valid call. The frame owns nothing: Postgres may leave it by `longjmp`.
#[inline(always)]
unsafe fn answer(question: Question, call: FunctionCallInfo) -> Datum {
    // SAFETY: the claims pointer is used before anything can set the variable again, and `KNOWN`
    // is borrowed while only `strcmp` and `palloc` run, which do not come back to it.
    unsafe {
        unguarded::AcceptInvalidationMessages();
        let (source, is_bound) = current_source();
        if let Some(known) = &*KNOWN.get()
            && known.settings_generation == settings::CACHE.generation()
            && known.ends.is_some() == is_bound
            && known
                .ends
                .is_none_or(|ends| unguarded::GetCurrentStatementStartTimestamp() < ends)
            && unguarded::strcmp(source, known.source.as_ptr()) == 0
        {
            return give(known, question, call);
        }
        recompute(question, call)
    }
}

/// The text that says who is asking, and whether it is an identity that was bound.
#[inline(always)]
unsafe fn current_source() -> (*const std::ffi::c_char, bool) {
    // SAFETY: as in `answer`.
    unsafe {
        match bound_identity::current() {
            Some(text) => (text, true),
            None => (claims_variable::current().unwrap_or(c"".as_ptr()), false),
        }
    }
}

/// Returns a fresh copy: the executor frees what it is given.
#[inline(always)]
unsafe fn give(known: &Known, question: Question, call: FunctionCallInfo) -> Datum {
    // SAFETY: `call` is valid; palloc returns room for as many bytes as asked for, or not at all.
    unsafe {
        match known.answers.get(question as usize) {
            Some(Some(value)) => {
                let copy = unguarded::palloc(value.len());
                std::ptr::copy_nonoverlapping(value.as_ptr(), copy.cast(), value.len());
                Datum::from(copy)
            }
            _ => {
                (*call).isnull = true;
                Datum::from(0)
            }
        }
    }
}

#[cold]
#[pg_guard]
unsafe extern "C-unwind" fn recompute(question: Question, call: FunctionCallInfo) -> Datum {
    match know() {
        // SAFETY: as in `answer`.
        Ok(known) => unsafe { give(known, question, call) },
        Err(report) => {
            report.report(PgLogLevel::ERROR);
            Datum::from(0)
        }
    }
}

/// Reads settings and identity anew and keeps the answers.
fn know() -> Result<&'static Known> {
    let settings_generation = settings::CACHE.generation();
    let settings = settings::current()?;
    // SAFETY: the string is copied before anything else runs.
    let (source, is_bound) = unsafe {
        let (source, is_bound) = current_source();
        (CStr::from_ptr(source).to_owned(), is_bound)
    };
    let (identity, ends) = if is_bound {
        let bound = bound_identity::parse(&source)?;
        let ends = bound.expires;
        // SAFETY: reads a variable of the backend.
        if unsafe { pg_sys::GetCurrentStatementStartTimestamp() } >= ends {
            return Err(Error::IdentityExpired.into());
        }
        (bound.into_identity(), Some(ends))
    } else if settings.identity_source == IdentitySource::Claims && !source.is_empty() {
        (Identity::from_claims(&from_server(&source)?)?, None)
    } else {
        (Identity::default(), None)
    };
    let known = Known {
        settings_generation,
        ends,
        source,
        answers: answers(&identity),
    };
    // SAFETY: no reference into `KNOWN` outlives the call of the SQL function that took it.
    unsafe { Ok((*KNOWN.get()).insert(known)) }
}

fn answers(identity: &Identity) -> [Answer; 4] {
    let text = |value: &Option<String>| value.as_deref().map(|value| keep(text_datum(value)));
    let permissions = identity.permissions.as_ref().map(|list| {
        let mut elements: Vec<Datum> = list.iter().map(|element| text_datum(element)).collect();
        // SAFETY: text is a variable-length type, passed by reference, aligned as an integer.
        keep(unsafe {
            Datum::from(pg_sys::construct_array(
                elements.as_mut_ptr(),
                elements.len() as i32,
                pg_sys::TEXTOID,
                -1,
                false,
                pg_sys::TYPALIGN_INT as std::ffi::c_char,
            ))
        })
    });
    [
        text(&identity.user_id),
        text(&identity.org_id),
        text(&identity.org_role),
        permissions,
    ]
}

/// Copies a value out of Postgres' memory, which ends with the statement, and frees it there.
fn keep(value: Datum) -> Box<[u8]> {
    let value: *mut pg_sys::varlena = value.cast_mut_ptr();
    // SAFETY: `value` was just built, with a four-byte header, by palloc.
    unsafe {
        let bytes = std::slice::from_raw_parts(value.cast::<u8>(), pgrx::varsize_any(value)).into();
        pg_sys::pfree(value.cast());
        bytes
    }
}

#[cfg(feature = "pg_test")]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    fn ask<T: FromDatum + IntoDatum>(function: &str, claims: &str) -> Option<T> {
        Spi::run_with_args(
            "SELECT set_config('request.jwt.claims', $1, true)",
            &[claims.into()],
        )
        .unwrap();
        Spi::get_one(&format!("SELECT {function}()")).unwrap()
    }

    fn user(claims: &str) -> Option<String> {
        ask("requesting_user_id", claims)
    }

    #[pg_test]
    fn nobody_asks_before_claims_are_set() {
        for function in [
            "requesting_user_id",
            "requesting_org_id",
            "requesting_org_role",
        ] {
            assert_eq!(
                Spi::get_one::<String>(&format!("SELECT {function}()")),
                Ok(None)
            );
        }
        assert_eq!(
            Spi::get_one::<Vec<String>>("SELECT requesting_permissions()"),
            Ok(None)
        );
    }

    #[pg_test]
    fn the_subject_is_the_user() {
        assert_eq!(user(r#"{"sub": "auth0|42"}"#).as_deref(), Some("auth0|42"));
        assert_eq!(user(r#"{"sub": 42}"#).as_deref(), Some("42"));
        assert_eq!(user(r#"{"sub": "é中😀"}"#).as_deref(), Some("é中😀"));
        assert_eq!(user(r#"{"sub": ""}"#), None);
        assert_eq!(user("{}"), None);
        assert_eq!(user(""), None);
    }

    #[pg_test]
    fn organization_role_and_permissions() {
        let claims = r#"{"sub": "user_1", "v": 2, "fea": "o:dashboard,o:teams",
                         "o": {"id": "org_1", "rol": "admin", "per": "manage,read", "fpm": "3,2"}}"#;
        assert_eq!(
            ask::<String>("requesting_org_id", claims).as_deref(),
            Some("org_1")
        );
        assert_eq!(
            ask::<String>("requesting_org_role", claims).as_deref(),
            Some("org:admin")
        );
        assert_eq!(
            ask::<Vec<String>>("requesting_permissions", claims),
            Some(vec![
                "org:dashboard:manage".to_owned(),
                "org:dashboard:read".to_owned(),
                "org:teams:read".to_owned()
            ])
        );
    }

    #[pg_test]
    fn no_permissions_are_an_empty_list_and_unknown_ones_are_null() {
        let said = |claims| ask::<Vec<String>>("requesting_permissions", claims);
        assert_eq!(said(r#"{"sub": "u", "permissions": []}"#), Some(vec![]));
        assert_eq!(said(r#"{"sub": "u"}"#), None);
    }

    #[pg_test(error = "request.jwt.claims is not valid JSON")]
    fn claims_that_are_not_json_raise() {
        user("{");
    }

    #[pg_test(error = "claim \"sub\" contains the character U+0000")]
    fn nul_in_a_subject_raises() {
        user(r#"{"sub": "\u0000"}"#);
    }
}
