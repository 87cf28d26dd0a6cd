//! A private copy of the machine's Postgres that has the extension in it.
//!
//! Postgres finds its files relative to its own executable. Therefore a directory with the same
//! layout, copied executables and links to all other files is an installation, too. Files can be
//! added to it, and the real installation stays unchanged.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The directories of an installation.
#[derive(Debug)]
pub struct Installation {
    root: PathBuf,
    bindir: PathBuf,
    pkglibdir: PathBuf,
    sharedir: PathBuf,
}

impl Installation {
    /// Copies the Postgres that `PG_CONFIG` names (by default the one that `setup.sh` installs for `PG_MAJOR`) to `root`,
    /// and adds what `cargo pgrx package` built.
    ///
    /// # Errors
    /// When a directory is missing or the extension has not been packaged.
    pub fn create(root: &Path) -> Result<Self> {
        Self::copy(root, &pg_config()?, &package_dir()?)
    }

    /// The same with the Postgres of another major version. `None` if that is not there, or the extension has not been
    /// packaged for it.
    pub(crate) fn of_major(root: &Path, major: u8) -> Result<Option<Self>> {
        let pg_config = pg_config_of(&major.to_string())?;
        let package = package_dir()?.with_file_name(format!("insforge_integrations-pg{major}"));
        if pg_config.exists() && package.is_dir() {
            Self::copy(root, &pg_config, &package).map(Some)
        } else {
            Ok(None)
        }
    }

    fn copy(root: &Path, pg_config: &Path, package: &Path) -> Result<Self> {
        let installation = Self {
            root: root.to_owned(),
            bindir: path_from(pg_config, "--bindir")?,
            pkglibdir: path_from(pg_config, "--pkglibdir")?,
            sharedir: path_from(pg_config, "--sharedir")?,
        };
        installation.mirror()?;
        installation.install(package)?;
        installation.add_older_versions()?;
        Ok(installation)
    }

    /// The directory of the programs in the copy.
    pub(crate) fn programs(&self) -> PathBuf {
        self.inside(&self.bindir)
    }

    /// The path of a server program in the copy.
    #[must_use]
    pub fn server_program(&self, name: &str) -> PathBuf {
        self.inside(&self.bindir).join(name)
    }

    /// The path of a client program, such as `psql` or `pg_dump`.
    #[must_use]
    pub fn client_program(&self, name: &str) -> PathBuf {
        self.bindir.join(name)
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn mirror(&self) -> Result<()> {
        let bindir = self.inside(&self.bindir);
        link_entries(&self.bindir, &bindir)?;
        for program in ["postgres", "initdb", "pg_ctl"] {
            fs::remove_file(bindir.join(program))?;
            fs::copy(self.bindir.join(program), bindir.join(program))
                .with_context(|| format!("cannot copy {program}"))?;
        }
        link_entries(&self.pkglibdir, &self.inside(&self.pkglibdir))?;
        let sharedir = self.inside(&self.sharedir);
        link_entries(&self.sharedir, &sharedir)?;
        fs::remove_file(sharedir.join("extension"))?;
        link_entries(
            &self.sharedir.join("extension"),
            &sharedir.join("extension"),
        )?;
        // An unpacked wheel of PyPI. Its programs find their libraries relative to their own place.
        if let Some(libraries) = self.bindir.ancestors().nth(2)
            && let libraries = libraries.with_extension("libs")
            && libraries.is_dir()
        {
            symlink(&libraries, self.inside(&libraries))?;
        }
        Ok(())
    }

    /// Adds or replaces an extension while servers run, as `make install` does.
    ///
    /// # Errors
    /// When `package` is not a package, or its files cannot be written.
    pub fn install(&self, package: &Path) -> Result<()> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/install.sh");
        let output = Command::new(script).args([package, &self.root]).output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// The install scripts of older versions, which only `make package` adds, and the upgrade scripts.
    fn add_older_versions(&self) -> Result<()> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql");
        let to = self.inside(&self.sharedir).join("extension");
        for entry in fs::read_dir(scripts)? {
            let entry = entry?;
            let name = entry.file_name();
            if name
                .to_string_lossy()
                .starts_with("insforge_integrations--")
            {
                let target = to.join(name);
                // The machine's own Postgres may have the file too: a copy would go through its link.
                let _ = fs::remove_file(&target);
                fs::copy(entry.path(), target)?;
            }
        }
        Ok(())
    }

    /// The directory that stands for `/`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of the extensions' SQL and control files.
    #[must_use]
    pub fn extensions(&self) -> PathBuf {
        self.inside(&self.sharedir).join("extension")
    }

    /// The path of the extension's library.
    #[must_use]
    pub fn library(&self) -> PathBuf {
        self.inside(&self.pkglibdir)
            .join("insforge_integrations.so")
    }
}

fn link_entries(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("no {}", from.display()))? {
        let entry = entry?;
        symlink(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The directory of the files that do not depend on the machine.
pub(crate) fn sharedir() -> Result<PathBuf> {
    path_from(&pg_config()?, "--sharedir")
}

fn path_from(program: &Path, argument: &str) -> Result<PathBuf> {
    let output = Command::new(program)
        .arg(argument)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(
        output.status.success(),
        "{} {argument}: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

fn pg_config() -> Result<PathBuf> {
    let named = std::env::var_os("PG_CONFIG").filter(|path| !path.is_empty());
    named.map_or_else(
        || pg_config_of(&std::env::var("PG_MAJOR").unwrap_or_else(|_| "15".to_owned())),
        |path| Ok(PathBuf::from(path)),
    )
}

fn pg_config_of(major: &str) -> Result<PathBuf> {
    path_from(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("server.sh"),
        major,
    )
}

/// The output directory of `cargo pgrx package`, from `PACKAGE_DIR`, which the Makefile sets.
///
/// # Errors
/// When it is missing.
pub fn package_dir() -> Result<PathBuf> {
    let named = std::env::var_os("PACKAGE_DIR").map(PathBuf::from);
    let default =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/insforge_integrations-pg15");
    let directory = named.unwrap_or(default);
    if !directory.is_dir() {
        bail!(
            "{} is missing: run `cargo pgrx package` first, as `make test` does",
            directory.display()
        );
    }
    Ok(directory)
}
