//! A throwaway Postgres with the extension installed, for suites, benchmarks and the demo.
//!
//! [`Cluster`] is a server of its own; [`Database`] a database in it, empty or made to look like
//! InsForge's; [`request`] runs statements the way InsForge's backend and PostgREST run one
//! request. Nothing of the machine's own Postgres is changed, and nothing is left behind.

mod cluster;
mod installation;
pub mod node;
pub mod postgrest;
pub mod provider_tokens;
pub mod request;
mod server_user;

pub use cluster::{Cluster, Database, Fixture, shared_cluster};
pub use installation::Installation;
pub use request::request;
