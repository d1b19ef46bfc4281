//! Lists the files of the built page (`web/dist`), so that they become part of
//! the program. Without them the program says how to build the page.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let web = manifest.join("../../web");
    let dist = web.join("dist");
    // The folder is watched even while it is not there.
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = Vec::new();
    if dist.is_dir() {
        collect(&dist, &mut files)?;
    }
    files.sort();
    let mut code = String::from("static FILES: &[PageFile] = &[\n");
    for file in files {
        let path = file.strip_prefix(&dist).unwrap_or(&file);
        let path = path.to_string_lossy().replace('\\', "/");
        let mut hasher = DefaultHasher::new();
        fs::read(&file)?.hash(&mut hasher);
        let etag = format!("\"{:016x}\"", hasher.finish());
        let absolute = fs::canonicalize(&file)?;
        let _ = writeln!(
            code,
            "    PageFile {{ path: {path:?}, etag: {etag:?}, bytes: include_bytes!({absolute:?}) }},"
        );
    }
    code.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    write_if_changed(&out.join("page_files.rs"), &code)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => collect(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}

#[allow(
    clippy::disallowed_methods,
    reason = "a build script writes its output"
)]
fn write_if_changed(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|known| known == text) {
        return Ok(());
    }
    fs::write(path, text)
}
