//! A database of a test cluster.

use anyhow::Result;
use postgres::{Client, NoTls};

use super::Cluster;

/// The content of a new database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fixture {
    /// Nothing beyond `CREATE DATABASE`.
    Empty,
    /// Like a self-hosted InsForge: roles, default privileges, schema `auth`.
    InsForge,
    /// Like InsForge, with the SQL that the guides ask an application to run.
    Guide,
    /// Like InsForge, with the extension.
    Extension,
}

/// One database; the connections to it.
pub struct Database<'a> {
    cluster: &'a Cluster,
    name: String,
}

const INSFORGE: &str = include_str!("../../fixtures/insforge.sql");
const REALTIME: &str = include_str!("../../fixtures/realtime.sql");
const GUIDE: &str = include_str!("../../fixtures/guide.sql");

impl<'a> Database<'a> {
    pub(crate) fn create(cluster: &'a Cluster, name: String, fixture: Fixture) -> Result<Self> {
        cluster
            .maintenance()?
            .batch_execute(&format!("CREATE DATABASE {name}"))?;
        let database = Self { cluster, name };
        let mut client = database.connect()?;
        if fixture != Fixture::Empty {
            client.batch_execute(INSFORGE)?;
        }
        match fixture {
            Fixture::Empty | Fixture::InsForge => {}
            Fixture::Guide => client.batch_execute(&format!("{REALTIME}{GUIDE}"))?,
            Fixture::Extension => client.batch_execute("CREATE EXTENSION insforge_integrations")?,
        }
        Ok(database)
    }

    /// A database that is in the cluster already.
    #[must_use]
    pub fn named(cluster: &'a Cluster, name: &str) -> Self {
        let name = name.to_owned();
        Self { cluster, name }
    }

    /// A connection as the superuser.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn connect(&self) -> Result<Client> {
        Ok(self.config().connect(NoTls)?)
    }

    /// A connection as any role; the fixture lets InsForge's roles log in.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn connect_as(&self, role: &str) -> Result<Client> {
        Ok(self.config().user(role).connect(NoTls)?)
    }

    /// The same database on a standby of its server.
    #[must_use]
    pub fn on<'b>(&self, standby: &'b Cluster) -> Database<'b> {
        Database::named(standby, &self.name)
    }

    /// The connection's configuration, to which a suite can add.
    #[must_use]
    pub fn config(&self) -> postgres::Config {
        self.cluster.connection(&self.name)
    }

    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster it is in.
    #[must_use]
    pub const fn cluster(&self) -> &'a Cluster {
        self.cluster
    }
}
