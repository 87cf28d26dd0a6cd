//! The objects that a DROP statement names, read from its parse tree.

use std::ffi::CStr;

use pgrx::pg_sys;

/// The objects that a statement drops.
pub(crate) enum Dropped {
    /// Extensions, schemas or languages.
    Named {
        /// `extension`, `schema` or `language`.
        kind: &'static str,
        names: Vec<String>,
    },
    /// Everything that these roles own.
    OwnedBy(Vec<pg_sys::Oid>),
    /// Something else, or nothing.
    Other,
}

/// # Safety
/// `statement` is a statement's parse tree.
pub(crate) unsafe fn read(statement: *mut pg_sys::Node) -> Dropped {
    // SAFETY: the node is what its tag says. Objects of these kinds are given as one String node
    // each, and the roles of DROP OWNED as a RoleSpec each.
    unsafe {
        match (*statement).type_ {
            pg_sys::NodeTag::T_DropStmt => {
                let statement: *mut pg_sys::DropStmt = statement.cast();
                let kind = match (*statement).removeType {
                    pg_sys::ObjectType::OBJECT_EXTENSION => "extension",
                    pg_sys::ObjectType::OBJECT_SCHEMA => "schema",
                    pg_sys::ObjectType::OBJECT_LANGUAGE => "language",
                    _ => return Dropped::Other,
                };
                let objects = pgrx::PgList::<pg_sys::Node>::from_pg((*statement).objects);
                let strings = objects
                    .iter_ptr()
                    .filter(|node| (**node).type_ == pg_sys::NodeTag::T_String);
                let names = strings.map(|node| text_of(node)).collect();
                Dropped::Named { kind, names }
            }
            pg_sys::NodeTag::T_DropOwnedStmt => {
                let statement: *mut pg_sys::DropOwnedStmt = statement.cast();
                let roles = pgrx::PgList::<pg_sys::RoleSpec>::from_pg((*statement).roles);
                let owners = roles
                    .iter_ptr()
                    .map(|role| pg_sys::get_rolespec_oid(role, true));
                Dropped::OwnedBy(owners.collect())
            }
            _ => Dropped::Other,
        }
    }
}

/// The characters of a String node.
unsafe fn text_of(node: *mut pg_sys::Node) -> String {
    // SAFETY: as the caller promises.
    unsafe {
        let text = (*node.cast::<pg_sys::String>()).sval;
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}
