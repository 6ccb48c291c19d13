//! Reading rule files: folders, single files and zip archives. The only place of this room that touches the disk.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, unreadable};

/// A larger file is no rule: the largest public one has 120 KiB.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// Files of one archive; the whole of SigmaHQ has some 5,000.
const MAX_ARCHIVE_FILES: usize = 200_000;
/// What all rules of one archive may unpack to.
const MAX_ARCHIVE_BYTES: u64 = 512 << 20;
/// Folders nest less deeply; a loop of links ends here.
const MAX_FOLDER_DEPTH: usize = 32;

/// A rule file's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFile {
    /// What it is called; members of archives are `archive.zip!inner`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Reads all `.yml` and `.yaml` files under the paths, in order of their names. What cannot be read is reported and
/// passed over; a file named directly is read whatever its name.
#[must_use]
pub fn read(paths: &[PathBuf]) -> (Vec<RuleFile>, Vec<Diagnostic>) {
    let mut reader = Reader::default();
    for path in paths {
        if path.is_dir() {
            reader.folder(path, 0);
        } else {
            reader.file(path);
        }
    }
    (reader.files, reader.diagnostics)
}

#[derive(Default)]
struct Reader {
    files: Vec<RuleFile>,
    diagnostics: Vec<Diagnostic>,
}

impl Reader {
    fn folder(&mut self, folder: &Path, depth: usize) {
        if depth > MAX_FOLDER_DEPTH {
            return self.fail(folder, &format!("folders nest deeper than {MAX_FOLDER_DEPTH} levels"));
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.fail(folder, &error.to_string()),
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            if path.is_symlink() && path.is_dir() {
                continue;
            }
            if path.is_dir() {
                self.folder(&path, depth + 1);
            } else if is_rule_name(&path) || has_extension(&path, "zip") {
                self.file(&path);
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let result = if has_extension(path, "zip") { self.archive(path) } else { self.plain(path) };
        if let Err(error) = result {
            self.fail(path, &error.to_string());
        }
    }

    fn plain(&mut self, path: &Path) -> io::Result<()> {
        let name = path.display().to_string();
        let text = read_text(fs::File::open(path)?)?;
        self.files.push(RuleFile { path: name, text });
        Ok(())
    }

    fn archive(&mut self, path: &Path) -> io::Result<()> {
        let mut archive = zip::ZipArchive::new(fs::File::open(path)?)?;
        if archive.len() > MAX_ARCHIVE_FILES {
            return Err(io::Error::other(format!("the archive has more than {MAX_ARCHIVE_FILES} files")));
        }
        let mut names: Vec<String> = archive
            .file_names()
            .filter_map(|name| Some(name.ok()?.into_owned()))
            .filter(|name| is_rule_name(Path::new(name)))
            .collect();
        names.sort();
        let mut bytes = 0;
        for inner in names {
            let path = format!("{}!{inner}", path.display());
            let text = archive.by_name(&inner).map_err(io::Error::other).and_then(read_text);
            match text {
                Ok(text) => {
                    bytes += text.len() as u64;
                    self.files.push(RuleFile { path, text });
                }
                Err(error) => self.diagnostics.push(unreadable(&path, &error.to_string())),
            }
            if bytes > MAX_ARCHIVE_BYTES {
                return Err(io::Error::other(format!(
                    "the archive unpacks to more than {MAX_ARCHIVE_BYTES} bytes; the rest of it is not read"
                )));
            }
        }
        Ok(())
    }

    fn fail(&mut self, path: &Path, reason: &str) {
        self.diagnostics.push(unreadable(&path.display().to_string(), reason));
    }
}

fn read_text(source: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    source.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("larger than {MAX_FILE_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        io::Error::other(format!("not UTF-8 (first bad byte at {})", error.utf8_error().valid_up_to()))
    })
}

fn is_rule_name(path: &Path) -> bool {
    has_extension(path, "yml") || has_extension(path, "yaml")
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn reads_folders_and_archives_and_reports_what_it_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("b")).unwrap();
        fs::write(at("b/two.yaml"), "title: two").unwrap();
        fs::write(at("one.yml"), "title: one").unwrap();
        fs::write(at("notes.txt"), "not a rule").unwrap();
        fs::write(at("gbk.yml"), b"title: \xd6\xd0").unwrap();
        let mut archive = zip::ZipWriter::new(fs::File::create(at("c.zip")).unwrap());
        archive.start_file("inner/three.yml", zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(b"title: three").unwrap();
        archive.finish().unwrap();

        let (files, diagnostics) = read(&[folder.path().to_owned(), at("missing")]);
        let texts: Vec<&str> = files.iter().map(|file| file.text.as_str()).collect();
        assert_eq!(texts, ["title: two", "title: three", "title: one"]);
        assert!(files[1].path.ends_with("c.zip!inner/three.yml"));
        assert_eq!(diagnostics.len(), 2);
        assert!(diagnostics[0].file.ends_with("gbk.yml") && diagnostics[0].message.contains("UTF-8"));
        assert!(diagnostics[1].file.ends_with("missing"));
    }
}
