//! `sluice init`: a small project that runs at once, to be edited.

use std::path::Path;

use sluice_core::{Disk, OpenMode, RealDisk};

use crate::built_in::{ALARMS_OF_THE_PROGRAM, WAREHOUSE_FILES};
use crate::failure::{Doing, Failure};
use crate::report::Reporter;

/// The files of a new project. `NAME` stands for its name.
const FILES: [(&str, &str); 6] = [
    (
        "warehouse.toml",
        include_str!("../../templates/warehouse.toml"),
    ),
    (
        "sources/orders.toml",
        include_str!("../../templates/sources/orders.toml"),
    ),
    (
        "models/dwd/dwd_order_line.sql",
        include_str!("../../templates/models/dwd/dwd_order_line.sql"),
    ),
    (
        "models/dws/revenue_by_day.sql",
        include_str!("../../templates/models/dws/revenue_by_day.sql"),
    ),
    (
        "input/orders.csv",
        include_str!("../../templates/input/orders.csv"),
    ),
    (".gitignore", "/data/\n"),
];

/// Makes the folder `name` with a project in it.
///
/// # Errors
/// When there is already something of that name, or the disk refuses.
pub fn run(name: &Path, reporter: Reporter) -> Result<(), Failure> {
    if name.exists() {
        return Err(Failure::Definitions(format!(
            "{} already exists\n  help: choose another name, or remove it first",
            name.display()
        )));
    }
    let title = name
        .file_name()
        .unwrap_or(name.as_os_str())
        .to_string_lossy();
    let title = title.replace(['"', '\\'], "");
    let alarms = WAREHOUSE_FILES.iter().copied();
    let alarms = alarms.filter(|(path, _)| ALARMS_OF_THE_PROGRAM.contains(path));
    for (path, text) in FILES.into_iter().chain(alarms) {
        let path = name.join(path);
        let what = format!("writing {}", path.display());
        if let Some(folder) = path.parent() {
            RealDisk.create_dir_all(folder).doing(&what)?;
        }
        let mut file = RealDisk.open(&path, OpenMode::Create).doing(&what)?;
        file.append(text.replace("NAME", &title).as_bytes())
            .doing(&what)?;
    }
    let name = name.display();
    reporter.info(&format!(
        "{name}: a warehouse with one source, two models, and alarms on the warehouse itself\n  edit   {name}/sources/orders.toml, so that it names your files and columns\n  check  sluice check {name}\n  run    sluice run {name}\n  ask    sluice sql {name} \"SELECT * FROM revenue_by_day ORDER BY day\""
    ));
    Ok(())
}
