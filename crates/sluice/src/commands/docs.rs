//! `sluice docs`: writes what a project's models say of themselves.

use std::path::Path;

use sluice_core::{Disk, OpenMode, RealDisk};

use crate::docs::{ProjectDocs, markdown_files};
use crate::failure::{Doing, Failure};
use crate::project::Project;
use crate::report::Reporter;

/// Writes one Markdown file for each layer of the project in `folder` to `out`.
///
/// # Errors
/// When the project is wrong, or the files cannot be written.
pub fn run(
    folder: &Path,
    overrides: &[(String, String)],
    out: &Path,
    reporter: Reporter,
) -> Result<(), Failure> {
    let project = Project::load(folder, overrides)?;
    let program = project.plan()?;
    let docs = ProjectDocs::new(&project, &program);
    let files = markdown_files(&docs);
    let what = format!("writing to {}", out.display());
    let disk = RealDisk;
    disk.create_dir_all(out).doing(&what)?;
    for (name, text) in &files {
        let path = out.join(name);
        let mut file = disk.open(&path, OpenMode::Create).doing(&what)?;
        file.append(text.as_bytes()).doing(&what)?;
    }
    for model in docs.models.values() {
        let columns = model.columns.iter();
        let unexplained: Vec<&str> = columns
            .filter(|column| column.meaning.is_empty())
            .map(|column| &column.name[..])
            .collect();
        if !unexplained.is_empty() {
            reporter.warn(&format!(
                "nothing says what these columns of `{}` mean: {}",
                model.name,
                unexplained.join(", ")
            ));
        }
    }
    reporter.info(&format!("{}: {} files", out.display(), files.len()));
    Ok(())
}
