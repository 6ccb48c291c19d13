//! The digest of every data file, as it was when it was written: `_digests/blake3` in the table's directory, in the form
//! that `b3sum --check` reads. Written and synced before the commit that lists the file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::wal::sync_dir;

const FOLDER: &str = "_digests";
const NAME: &str = "blake3";

/// Writes down the digest of the file at `path` in the table `dir`.
pub(crate) fn record(dir: &Path, path: &str, digest: &blake3::Hash) -> io::Result<()> {
    let folder = dir.join(FOLDER);
    let file = folder.join(NAME);
    let is_new = !file.exists();
    std::fs::create_dir_all(&folder)?;
    // A line that a crash tore is ended by the next.
    let line = format!("\n{digest}  {path}\n");
    let mut file = File::options().create(true).append(true).open(file)?;
    file.write_all(line.as_bytes())?;
    file.sync_data()?;
    if is_new {
        sync_dir(&folder)?;
        sync_dir(dir)?;
    }
    Ok(())
}

/// The digest recorded last of each file.
pub(crate) fn read(dir: &Path) -> io::Result<HashMap<String, blake3::Hash>> {
    let text = match std::fs::read_to_string(dir.join(FOLDER).join(NAME)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        text => text?,
    };
    let entry = |line: &str| {
        let (digest, path) = line.split_once("  ")?;
        Some((path.to_owned(), blake3::Hash::from_hex(digest).ok()?))
    };
    Ok(text.lines().filter_map(entry).collect())
}

/// The digest of a file as it is now.
pub(crate) fn of(path: &Path) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize())
}
