//! The Debian package: one binary, a hardened systemd unit, a configuration file that upgrades keep.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run::{command, have, output, run as run_command, say};
use crate::setup::{Need, ensure};
use crate::{console, up};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build profile of the binary
    #[arg(long, default_value = "release")]
    profile: String,
    /// Folder for the package
    #[arg(long, default_value = "target/package")]
    output: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    ensure(&[Need::Compiler, Need::Node, Need::Packaging])?;
    console::build()?;
    let binary = up::build(&args.profile)?;
    let folder = crate::root().join(&args.output);
    let package = build(&binary, env!("CARGO_PKG_VERSION"), &folder)?;
    say(&format!("  {}", package.display()));
    Ok(())
}

/// Puts the package together and gives its path.
fn build(binary: &Path, version: &str, folder: &Path) -> Result<PathBuf> {
    let stage = tempfile::tempdir().context("a folder to stage the package in")?;
    let root = stage.path();
    let source = crate::root().join("packaging");
    let architecture = output(root, &["dpkg", "--print-architecture"])?.trim().to_owned();
    let files: [(&str, PathBuf, u32); 8] = [
        ("usr/bin/wanglou", binary.to_owned(), 0o755),
        ("usr/lib/systemd/system/wanglou.service", source.join("wanglou.service"), 0o644),
        ("etc/wanglou/wanglou.toml", source.join("wanglou.toml"), 0o644),
        ("usr/share/doc/wanglou/copyright", crate::root().join("LICENSE"), 0o644),
        ("usr/share/doc/wanglou/CHANGELOG.md", crate::root().join("CHANGELOG.md"), 0o644),
        ("DEBIAN/postinst", source.join("postinst"), 0o755),
        ("DEBIAN/prerm", source.join("prerm"), 0o755),
        ("DEBIAN/postrm", source.join("postrm"), 0o755),
    ];
    for (target, from, mode) in files {
        let target = root.join(target);
        fs::create_dir_all(target.parent().unwrap_or(root))?;
        fs::copy(&from, &target).with_context(|| format!("copying {}", from.display()))?;
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
    }
    if have("strip") {
        run_command(root, &["strip", "--strip-debug", "usr/bin/wanglou"])?;
    }
    fs::write(root.join("DEBIAN/conffiles"), "/etc/wanglou/wanglou.toml\n")?;
    let control = fs::read_to_string(source.join("control"))?;
    let control = control.replace("@VERSION@", version).replace("@ARCHITECTURE@", &architecture);
    fs::write(root.join("DEBIAN/control"), control)?;
    fs::create_dir_all(folder)?;
    let package = folder.join(format!("wanglou_{version}_{architecture}.deb"));
    let path = package.to_string_lossy();
    run_command(root, &["dpkg-deb", "--build", "--root-owner-group", "-Zzstd", "-z1", ".", &path])?;
    Ok(package)
}

/// Installs, upgrades with data in place, removes and purges, in an overlay over this machine's own root that is
/// thrown away, so that the machine itself is left as it was.
pub(crate) fn test() -> Result<()> {
    let is_root = output(&crate::root(), &["id", "-u"])?.trim() == "0";
    if !is_root || !have("dpkg") || !have("unshare") {
        say("  skipped: needs root, dpkg and unshare");
        return Ok(());
    }
    ensure(&[Need::Packaging])?;
    let binary = up::build("dev")?;
    let folder = tempfile::tempdir()?;
    let old = build(&binary, "0.0.1~test1", folder.path())?;
    let new = build(&binary, "0.0.1~test2", folder.path())?;
    let overlay = tempfile::Builder::new().prefix("wanglou-package-").tempdir()?;
    let script = crate::root().join("packaging/test-install.sh");
    let mut command = command(&crate::root(), &["unshare", "--mount", "--pid", "--fork", "--net", "bash"]);
    command.arg(script).arg(overlay.path()).arg(&old).arg(&new);
    let output = command.output().context("cannot start `unshare`")?;
    let printed =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) {
        say(&format!("  skipped: {}", printed.trim()));
        return Ok(());
    }
    if !output.status.success() || !printed.contains("package test passed") {
        bail!("the package test failed:\n{printed}");
    }
    say("  installed, upgraded with data in place, removed and purged");
    Ok(())
}
