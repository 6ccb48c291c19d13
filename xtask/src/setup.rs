//! System packages and tools: installed when root on Debian, named clearly otherwise.

use anyhow::{Result, bail};

use crate::run::{command, have, output, run, say};

/// What a command needs beyond Rust.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A C compiler, for the libraries in C (SQLite, zstd, AWS-LC).
    Compiler,
    /// Node.js 20 or newer with npm, for the console.
    Node,
    /// Headless Chromium with a CJK font, for the end-to-end test.
    Browser,
    /// ip, nft and friends are not needed yet; dpkg-deb is, for the package.
    Packaging,
}

impl Need {
    /// (programs of which one must be there, Debian packages that bring them)
    fn means(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Compiler => (&["cc"], &["build-essential"]),
            Self::Node => (&["node"], &["nodejs", "npm"]),
            Self::Browser => {
                (&["chromium", "chromium-browser", "google-chrome"], &["chromium", "fonts-noto-cjk"])
            }
            Self::Packaging => (&["dpkg-deb"], &["dpkg"]),
        }
    }

    fn is_met(self) -> bool {
        let programs = self.means().0.iter().any(|program| have(program));
        programs && (self != Self::Browser || has_cjk_font())
    }
}

fn has_cjk_font() -> bool {
    [
        "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
        "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    ]
    .iter()
    .any(|font| std::path::Path::new(font).exists())
}

/// Sees to it that `needs` are met.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<&str> =
        needs.iter().filter(|need| !need.is_met()).flat_map(|need| need.means().1).copied().collect();
    if !missing.is_empty() {
        install(&missing)?;
    }
    if needs.contains(&Need::Node) {
        check_node()?;
    }
    Ok(())
}

fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !have("apt-get") {
        bail!("this machine lacks what these Debian packages bring: {list}; install them and try again");
    }
    if output(&crate::root(), &["id", "-u"])?.trim() != "0" {
        bail!("system packages are missing; install them and try again:\n  sudo apt-get install {list}");
    }
    say(&format!("installing system packages: {list}"));
    let apt = |words: &[&str]| {
        let mut words_all = vec!["apt-get", "-qq", "-y", "-o", "Dpkg::Use-Pty=0"];
        words_all.extend(words);
        let mut command = command(&crate::root(), &words_all);
        command.env("DEBIAN_FRONTEND", "noninteractive").stdout(std::process::Stdio::null());
        crate::run::check(&mut command, &words_all.join(" "))
    };
    apt(&["update"])?;
    let mut words = vec!["install", "--no-install-recommends"];
    words.extend(packages);
    apt(&words)
}

fn check_node() -> Result<()> {
    let version = output(&crate::root(), &["node", "--version"])?;
    let major: u32 =
        version.trim().trim_start_matches('v').split('.').next().unwrap_or("0").parse().unwrap_or(0);
    if major < 20 {
        bail!("the console needs Node.js 20 or newer, this is {}", version.trim());
    }
    run(&crate::root(), &["npm", "--version"]).map_err(|error| error.context("npm comes with Node.js"))
}
