//! `requesting_user_id()` and its family.
//!
//! RLS calls these functions once for each row, so this module keeps the answers as finished
//! values. While the bound identity, `request.jwt.claims` and the settings are unchanged, a call
//! only compares the texts and returns a copy. Everything else happens in [`recompute`].

use std::cell::{Cell, RefCell};
use std::ffi::CString;

use pgrx::pg_sys::{self, Datum, FunctionCallInfo};
use pgrx::prelude::*;

use super::bound_identity::{self, BoundIdentity, RequestSettings};
use super::encoding::utf8;
use super::fmgr::{function_info, unguarded};
use super::jsonb::Jsonb;
use super::table_cache::changes;
use crate::identity::{Identity, claims_set};
use crate::pg::error::Result;
use crate::pg::settings;
use crate::providers;
use crate::settings::IdentitySource;

/// A function of the family; also the index of its answer.
#[derive(Clone, Copy)]
#[repr(usize)]
enum Question {
    UserId,
    OrgId,
    OrgRole,
    Permissions,
    Claims,
}

/// A value of a variable-length type, with its header; `None` is NULL.
type CachedValue = Option<Box<[u8]>>;

/// Answers, and the values from which they were made.
struct Cached {
    changes: u64,
    /// [`bound_identity::changes`], and whether an identity was bound.
    bound_changes: u64,
    is_bound: bool,
    claims: CString,
    /// The other request settings that a bound identity depends on.
    headers: CString,
    cookies: CString,
    /// End of the bound identity, on Postgres' clock; `None` if it is void or there is none.
    ends: Option<pg_sys::TimestampTz>,
    /// `None`: nobody has asked. Only the claims set waits for that.
    answers: [Option<CachedValue>; 5],
}

/// Values that a backend keeps between two calls.
struct State {
    request: RequestSettings,
    /// Start of the statement that last learnt of other sessions' changes.
    accepted: Cell<pg_sys::TimestampTz>,
    cached: RefCell<Option<Cached>>,
}

thread_local! {
    static STATE: State = const {
        State {
            request: RequestSettings::new(),
            accepted: Cell::new(pg_sys::TimestampTz::MIN),
            cached: RefCell::new(None),
        }
    };
}

/// Declares an SQL function without arguments, with Postgres' version 1 calling convention.
macro_rules! sql_function {
    ($name:ident, $info:ident, $question:ident) => {
        #[doc = concat!("SQL function `", stringify!($name), "()`; see sql/identity.sql.")]
        ///
        /// # Safety
        /// Called by Postgres' function manager.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C-unwind" fn $name(call: FunctionCallInfo) -> Datum {
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
sql_function!(requesting_claims, pg_finfo_requesting_claims, Claims);

/// The answer of `requesting_user_id()`, for other code of this library.
pub(crate) fn user_id() -> Result<Option<String>> {
    let source = STATE.with(|state| source(&state.request))?;
    Ok(source.identity()?.user_id)
}

/// # Safety
/// `call` is a valid call. The frame owns nothing, because Postgres may leave it by `longjmp`.
#[inline(always)]
unsafe fn answer(question: Question, call: FunctionCallInfo) -> Datum {
    // SAFETY: the answer stays in its place until `recompute` replaces it.
    unsafe {
        let found = STATE.with(|state| {
            state.accept_changes();
            state.find(question)
        });
        match found {
            Some(answer) => return_copy(answer, call),
            None => recompute(question, call),
        }
    }
}

impl State {
    /// Learns of changes of the extension's settings by other sessions, once for each statement of the
    /// client. For each row it would take a fifth of the call's time.
    #[inline(always)]
    fn accept_changes(&self) {
        let statement = statement_start();
        if self.accepted.get() != statement {
            // SAFETY: called in a transaction. The frames here own nothing.
            unsafe { unguarded::AcceptInvalidationMessages() };
            self.accepted.set(statement);
        }
    }

    /// The answer to a question (null is NULL), if the kept answers hold for the present request.
    #[inline(always)]
    fn find(&self, question: Question) -> Option<Option<*const [u8]>> {
        let cached = self.cached.borrow();
        let cached = cached.as_ref()?;
        let holds = cached.changes == changes()
            && cached.bound_changes == bound_identity::changes()
            && self.request.claims.is(&cached.claims)
            && (!cached.is_bound
                || (self.request.headers.is(&cached.headers)
                    && self.request.cookies.is(&cached.cookies)
                    && cached.ends.is_none_or(|ends| statement_start() < ends)));
        holds.then(|| cached.answer(question))?
    }

    /// Reads settings and identity again, keeps the answers and returns the answer to a question.
    fn renew(&self, question: Question) -> Result<Option<*const [u8]>> {
        let changes = changes();
        let source = source(&self.request)?;
        // Claims that `jsonb` cannot hold must not fail those who only ask for the user.
        let claims = match question {
            Question::Claims => Some(source.claims()?),
            _ => None,
        };
        let [user, organization, role, permissions] = answers(source.identity()?).map(Some);
        let claims = claims.map(|claims| {
            let claims = claims.and_then(|claims| Jsonb(claims).into_datum());
            claims.map(move_out_of_palloc)
        });
        let mut cached = self.cached.borrow_mut();
        let cached = cached.insert(Cached {
            changes,
            bound_changes: bound_identity::changes(),
            is_bound: bound_identity::is_bound(),
            claims: self.request.claims.copy(),
            headers: self.request.headers.copy(),
            cookies: self.request.cookies.copy(),
            ends: source.ends(),
            answers: [user, organization, role, permissions, claims],
        });
        Ok(cached.answer(question).flatten())
    }
}

impl Cached {
    /// `None`: it is not kept. `Some(None)`: it is NULL.
    #[inline(always)]
    fn answer(&self, question: Question) -> Option<Option<*const [u8]>> {
        let answer = self.answers.get(question as usize)?.as_ref()?;
        Some(answer.as_deref().map(std::ptr::from_ref))
    }
}

/// What tells who is asking.
enum Source {
    /// A verified token.
    Bound(BoundIdentity),
    /// The text of `request.jwt.claims`.
    Claims(CString),
    Nothing,
}

impl Source {
    fn identity(&self) -> Result<Identity> {
        match self {
            Self::Bound(bound) => Ok(bound.identity.clone()),
            Self::Claims(claims) => Ok(Identity::from_claims(utf8(claims)?)?),
            Self::Nothing => Ok(Identity::default()),
        }
    }

    /// The claims set, if there is one.
    fn claims(&self) -> Result<Option<String>> {
        match self {
            Self::Bound(bound) => Ok(Some(bound.claims.clone())),
            Self::Claims(claims) => Ok(claims_set(utf8(claims)?)?.map(str::to_owned)),
            Self::Nothing => Ok(None),
        }
    }

    /// The end of a bound identity.
    fn ends(&self) -> Option<pg_sys::TimestampTz> {
        match self {
            Self::Bound(bound) => Some(bound.expires),
            _ => None,
        }
    }
}

fn source(request: &RequestSettings) -> Result<Source> {
    let settings = settings::current()?;
    if let Some(bound) = bound_identity::current(request)? {
        if statement_start() >= bound.expires {
            return Err(providers::Error::IdentityExpired.into());
        }
        return Ok(Source::Bound(bound));
    }
    let claims = request.claims.copy();
    Ok(match settings.identity_source {
        IdentitySource::Claims if !claims.is_empty() => Source::Claims(claims),
        _ => Source::Nothing,
    })
}

#[inline(always)]
fn statement_start() -> pg_sys::TimestampTz {
    // SAFETY: reads a variable of the backend.
    unsafe { unguarded::GetCurrentStatementStartTimestamp() }
}

/// Returns a fresh copy, because the executor frees the value.
///
/// # Safety
/// The same as for [`answer`]. The answer exists.
#[inline(always)]
unsafe fn return_copy(answer: Option<*const [u8]>, call: FunctionCallInfo) -> Datum {
    // SAFETY: `call` is valid. palloc returns as many bytes as asked for, or does not return.
    unsafe {
        match answer {
            Some(value) => {
                let copy = unguarded::palloc(value.len());
                std::ptr::copy_nonoverlapping(value.cast::<u8>(), copy.cast(), value.len());
                Datum::from(copy)
            }
            None => {
                (*call).isnull = true;
                Datum::from(0)
            }
        }
    }
}

#[cold]
#[pg_guard]
unsafe extern "C-unwind" fn recompute(question: Question, call: FunctionCallInfo) -> Datum {
    match STATE.with(|state| state.renew(question)) {
        // SAFETY: the call is valid, and the answer has just been kept.
        Ok(answer) => unsafe { return_copy(answer, call) },
        Err(error) => {
            error.raise();
            Datum::from(0)
        }
    }
}

fn answers(identity: Identity) -> [CachedValue; 4] {
    [
        identity.user_id.into_datum(),
        identity.org_id.into_datum(),
        identity.org_role.into_datum(),
        identity.permissions.into_datum(),
    ]
    .map(|value| value.map(move_out_of_palloc))
}

/// Copies a value out of Postgres' memory and frees it there. That memory ends with the statement.
fn move_out_of_palloc(value: Datum) -> Box<[u8]> {
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
        assert_eq!(
            Spi::get_one::<bool>("SELECT requesting_claims() IS NULL"),
            Ok(Some(true))
        );
    }

    #[pg_test]
    fn claims_are_exact_and_only_they_need_to_fit_into_jsonb() {
        let claims = |set: &str| {
            user(set);
            Spi::get_one::<String>("SELECT requesting_claims()::text").unwrap()
        };
        assert_eq!(
            claims(r#"{"n": 12345678901234567890.10, "a": [true]}"#).as_deref(),
            Some(r#"{"a": [true], "n": 12345678901234567890.10}"#)
        );
        assert_eq!(claims("[]"), None);
        assert_eq!(user(r#"{"sub": "u", "x": "\u0000"}"#).as_deref(), Some("u"));
    }

    #[pg_test(error = "request.jwt.claims does not fit into jsonb")]
    fn claims_that_jsonb_cannot_hold_raise() {
        user(r#"{"x": 1e999999}"#);
        Spi::run("SELECT requesting_claims()").unwrap();
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
