//! Puts the built-in warehouse (the folder `warehouse` of the repository) into
//! the program.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let warehouse = fs::canonicalize(manifest.join("../../warehouse"))?;
    println!("cargo::rerun-if-changed=build.rs");
    let mut files = Vec::new();
    for part in [
        "warehouse.toml",
        "dictionary.txt",
        "columns.toml",
        "panel_columns.toml",
        "sources",
        "models",
        "alerts",
        "reports",
        "panels",
    ] {
        let path = warehouse.join(part);
        println!("cargo::rerun-if-changed={}", path.display());
        collect(&path, &mut files)?;
    }
    files.sort();
    let mut code = String::from("pub(crate) static WAREHOUSE_FILES: &[(&str, &str)] = &[\n");
    for file in files {
        let path = file.strip_prefix(&warehouse).unwrap_or(&file);
        let path = path.to_string_lossy();
        let _ = writeln!(code, "    ({path:?}, include_str!({file:?})),");
    }
    code.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    #[allow(
        clippy::disallowed_methods,
        reason = "a build script writes its output"
    )]
    fs::write(out.join("warehouse_files.rs"), code)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}
