//! Finds the dictionary in the sources of the crate jieba-rs, which becomes a
//! part of the program. The crate's own feature for it would turn on features
//! of zstd, for which arrow's and DataFusion's crates were all built anew.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../../Cargo.lock");
    match dictionary() {
        Ok(path) => {
            println!("cargo:rustc-env=JIEBA_DICTIONARY={}", path.display());
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("the dictionary of jieba-rs: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Where cargo keeps the file.
fn dictionary() -> Result<PathBuf, String> {
    let variable = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let output = Command::new(variable("CARGO")?)
        .args(["metadata", "--format-version", "1", "--filter-platform"])
        .arg(variable("TARGET")?)
        .output()
        .map_err(|error| format!("asking cargo where it is: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let manifest = text
        .split(r#""name":"jieba-rs""#)
        .skip(1)
        .find_map(|package| {
            let (_, rest) = package.split_once(r#""manifest_path":""#)?;
            let (path, _) = rest.split_once('"')?;
            path.contains("jieba-rs").then_some(path)
        })
        .ok_or("cargo does not name its manifest")?;
    let path = Path::new(manifest).with_file_name("src/data/dict.txt");
    match path.exists() {
        true => Ok(path),
        false => Err(format!("{} is not there", path.display())),
    }
}
