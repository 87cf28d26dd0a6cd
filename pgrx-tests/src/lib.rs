//! A throwaway Postgres with the extension installed, for suites, benchmarks and the demo.
//!
//! [`Cluster`] is a throwaway server. [`Database`] is a database in it, empty or like InsForge's.
//! [`request`] runs statements as InsForge's backend and PostgREST run one request. The machine's
//! own Postgres stays unchanged, and nothing is left behind.

mod cluster;
pub mod example;
mod installation;
mod left_out;
pub mod node;
pub mod paid_endpoint;
mod pooler;
pub mod postgrest;
pub mod provider_tokens;
pub mod request;
mod server_user;
pub mod two_users;

pub use cluster::{Cluster, Database, Fixture, shared_cluster};
pub use installation::{Installation, package_dir};
pub use left_out::{has_extension, left_out, not_run};
pub use pooler::Pooler;
pub use request::request;
