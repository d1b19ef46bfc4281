//! A warehouse project folder: `warehouse.toml`, `sources/*.toml`,
//! `models/**/*.sql`, `panels/*.toml`, `dictionary.txt`, `columns.toml`,
//! `panel_columns.toml`. Alarms are read by `watching`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_core::{TableDefinition, Writer, stable_hash};
use sluice_engine::{Program, ViewDefinition};
use sluice_functions::Functions;
use sluice_log::ModelText;
use sluice_mask::LeftOut;
use sluice_route::{DIVERSION_RULES, SourceFile, Sources, parse_sources};
use sluice_serve::{PanelDefinitions, PanelFile, Panels, plain_words};

use crate::config::{Config, override_key, value_text};
use crate::dead_letters;
use crate::extended::{Folders, merged};
use crate::failure::{Doing, Failure};
use crate::panel_check;
use crate::settings::{Quoting, Setting, Settings, substitute};

/// Beginning of the names of tables that the program itself fills.
const OWN_PREFIX: &str = "sluice_";

/// Words that `split_words` knows besides its own, one a line.
const DICTIONARY: &str = "dictionary.txt";

/// What columns mean that several models have.
const COLUMNS: &str = "columns.toml";

/// What columns are in every panel that has them.
const PANEL_COLUMNS: &str = "panel_columns.toml";

/// A project, read and checked except for its models.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its folder, as the person wrote it.
    pub folder: PathBuf,
    /// Its `warehouse.toml`.
    pub config: Config,
    /// Topics and tables.
    pub sources: Arc<Sources>,
    /// Models.
    pub views: Vec<ViewDefinition>,
    /// SQL functions, with the words of `dictionary.txt`.
    pub functions: Functions,
    /// What columns of a name mean, from `columns.toml`.
    pub column_meanings: BTreeMap<String, String>,
    /// Its settings, put for `${name}` in its files.
    pub settings: Settings,
    /// Panels as they are written.
    pub panel_definitions: PanelDefinitions,
    /// Panels that can be answered; empty before [`Project::check_panels`].
    pub panels: Panels,
    /// The files of `sources`, without rules of diversion.
    source_files: Vec<SourceFile>,
    /// The files of `sources`: paths, and texts in which places of files are not
    /// put in.
    source_texts: Vec<(String, String)>,
    /// Whose rows are left out.
    left_out: Option<LeftOut>,
    /// Identifies topics and tables, wherever their files lie.
    sources_fingerprint: u64,
}

impl Project {
    /// Reads the project in `folder` with the settings of `--set`.
    ///
    /// # Errors
    /// Everything that is wrong with its files, each with file, line and
    /// column.
    pub fn load(folder: &Path, overrides: &[(String, String)]) -> Result<Self, Failure> {
        let config_path = folder.join("warehouse.toml");
        let mut config_text = read_text(&config_path).map_err(|error| match error {
            Failure::Failed(_) if !config_path.exists() => Failure::Definitions(format!(
                "{} is no warehouse project: it has no warehouse.toml\n  help: name the project's folder, or make a project with `sluice init NAME`",
                folder.display()
            )),
            other => other,
        })?;
        // The file is judged as it is first, so that places in it are true.
        let judged = Config::parse(&config_path, &config_text)?;
        if let Some(base) = Folders::new(folder, judged.extends.as_deref()).base() {
            config_text = extended_text(base, &config_text)?;
        }
        for (key, value) in overrides {
            config_text = override_key(&config_path, &config_text, key, value)?;
        }
        let config = Config::parse(&config_path, &config_text)?;
        let folders = Folders::new(folder, config.extends.as_deref());
        let settings = collect_settings(folder, &config, overrides)?;
        let mut problems = Vec::new();
        let sources = load_sources(&folders, folder, &settings, &mut problems)?;
        let views = load_views(&folders, &settings, &mut problems)?;
        let panel_definitions = load_panels(&folders, &settings, &mut problems)?;
        let dictionary = match folders.file(DICTIONARY) {
            Some(path) => read_text(&path)?,
            None => String::new(),
        };
        let functions = Functions::new(&dictionary).with_uniq_ids_max(config.limits.uniq_ids_max);
        match sources {
            Some((sources, source_files, source_texts)) if problems.is_empty() => Ok(Self {
                folder: folder.to_path_buf(),
                config,
                sources: Arc::new(sources),
                views,
                functions,
                column_meanings: load_meanings(&folders)?,
                settings,
                panel_definitions,
                panels: Panels::default(),
                sources_fingerprint: sources_anywhere(&source_texts)
                    .map_or(0, |sources| sources.fingerprint()),
                source_files,
                source_texts,
                left_out: None,
            }),
            _ => Err(Failure::Definitions(problems.join("\n"))),
        }
    }

    /// The project without the rows of erased persons.
    pub fn leaving_out(mut self, left_out: Option<LeftOut>) -> Self {
        self.left_out.clone_from(&left_out);
        if let Some(left_out) = left_out {
            let mut writer = Writer::new();
            writer.u64(self.sources_fingerprint);
            writer.bytes(&left_out.identity());
            self.sources_fingerprint = stable_hash(&writer.finish());
            self.sources.leave_out(Arc::new(left_out));
        }
        self
    }

    /// All tables, with the one that holds dead letters.
    pub fn tables(&self) -> Vec<TableDefinition> {
        let mut tables = self.sources.tables();
        tables.push(dead_letters::table_definition());
        tables
    }

    /// Plans all models.
    ///
    /// # Errors
    /// Everything that is wrong with them, with file, line and column.
    pub fn plan(&self) -> Result<Arc<Program>, Failure> {
        let planned = Program::plan_with(&self.tables(), &self.views, &self.functions);
        planned.map(Arc::new).map_err(|mut errors| {
            for error in &mut errors {
                error.message = plain_words(&error.message);
            }
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Failure::Definitions(lines.join("\n"))
        })
    }

    /// The project with its panels planned over the models of `program`.
    ///
    /// # Errors
    /// Everything that is wrong with them, with file, line and column.
    pub fn check_panels(mut self, program: &Program) -> Result<Self, Failure> {
        self.panels = panel_check::check(&self, program)?;
        Ok(self)
    }

    /// Identifies what state depends on: the tables and the views.
    pub fn fingerprint(&self, program: &Program) -> u64 {
        let mut writer = Writer::new();
        writer.u64(self.sources_fingerprint);
        writer.u64(program.fingerprint());
        stable_hash(&writer.finish())
    }

    /// Identifies what models are built on: tables, and the words and limits of
    /// functions.
    pub fn sources_fingerprint(&self) -> u64 {
        let mut writer = Writer::new();
        writer.u64(self.sources_fingerprint);
        writer.str(self.functions.user_dictionary());
        writer.u64(u64::from(self.functions.uniq_ids_max()));
        stable_hash(&writer.finish())
    }

    /// The text of all models, settings put in.
    pub fn models(&self) -> Vec<ModelText> {
        let views = self.views.iter().cloned();
        let text = |ViewDefinition { name, file, sql }| ModelText { name, file, sql };
        views.map(text).collect()
    }

    /// The files that topics and tables are defined in: paths, and texts in which
    /// places of files are not put in.
    pub fn source_texts(&self) -> &[(String, String)] {
        &self.source_texts
    }

    /// The project as it is but for its topics and tables.
    ///
    /// # Errors
    /// When they are not understood.
    pub fn with_sources(&self, texts: &[(String, String)]) -> Result<Self, Failure> {
        if texts == self.source_texts {
            return Ok(self.clone());
        }
        let sources = sources_anywhere(texts)?;
        let project = Self {
            sources_fingerprint: sources.fingerprint(),
            sources: Arc::new(sources),
            source_texts: texts.to_vec(),
            ..self.clone()
        };
        Ok(project.leaving_out(self.left_out.clone()))
    }

    /// The project with more files of topics and tables.
    ///
    /// # Errors
    /// When they do not fit together.
    pub fn with_more_sources(&self, more: &[(String, String)]) -> Result<Self, Failure> {
        let mut texts = self.source_texts.clone();
        texts.extend_from_slice(more);
        let mut files = self.source_files.clone();
        files.extend(more.iter().map(source_file));
        let project = Self {
            sources: Arc::new(parsed(&files)?),
            sources_fingerprint: sources_anywhere(&texts)?.fingerprint(),
            source_texts: texts,
            ..self.clone()
        };
        Ok(project.leaving_out(self.left_out.clone()))
    }

    /// The project as it is but for its models.
    ///
    /// # Errors
    /// When they cannot be planned over its tables.
    pub fn plan_models(&self, models: &[ModelText]) -> Result<(Self, Arc<Program>), Failure> {
        let view = |model: &ModelText| ViewDefinition {
            name: model.name.clone(),
            file: model.file.clone(),
            sql: model.sql.clone(),
        };
        let project = Self {
            views: models.iter().map(view).collect(),
            ..self.clone()
        };
        let program = project.plan()?;
        Ok((project, program))
    }

    /// The folder that holds the state, unless `chosen` says another.
    pub fn state_folder(&self, chosen: Option<&Path>) -> PathBuf {
        match chosen {
            Some(chosen) => chosen.to_path_buf(),
            None => self.folder.join(&self.config.state),
        }
    }

    /// A capture path seen from the project's folder.
    pub fn resolve(&self, path: &str) -> String {
        self.folder.join(path).display().to_string()
    }
}

fn collect_settings(
    folder: &Path,
    config: &Config,
    overrides: &[(String, String)],
) -> Result<Settings, Failure> {
    let current = std::env::current_dir().doing("finding the current folder")?;
    let project = current.join(folder);
    let mut settings = Settings::new();
    let own = [
        ("time_zone", config.time_zone.get_ref().clone()),
        ("currency", config.currency.clone().unwrap_or_default()),
    ];
    for (name, value) in own {
        let base = project.clone();
        settings.insert(name.to_owned(), Setting { value, base });
    }
    for (name, value) in &config.settings {
        let was_set = overrides.iter().any(|(key, _)| key == name);
        let base = if was_set { &current } else { &project };
        let setting = Setting {
            value: value_text(value),
            base: base.clone(),
        };
        settings.insert(name.clone(), setting);
    }
    Ok(settings)
}

/// `own_text` of warehouse.toml with the keys that it lacks and the project in
/// `base` has.
fn extended_text(base: &Path, own_text: &str) -> Result<String, Failure> {
    let path = base.join("warehouse.toml");
    let base_text = read_text(&path)?;
    Config::parse(&path, &base_text)?;
    let what = format!("reading {}", path.display());
    let base: toml::Table = toml::from_str(&base_text).doing(&what)?;
    let mut own: toml::Table = toml::from_str(own_text).doing(&what)?;
    merged(&base, &mut own);
    toml::to_string(&own).doing(&what)
}

/// Topics and tables, their files, and the same where places of files are not put
/// in.
type ReadSources = (Sources, Vec<SourceFile>, Vec<(String, String)>);

fn load_sources(
    folders: &Folders,
    folder: &Path,
    settings: &Settings,
    problems: &mut Vec<String>,
) -> Result<Option<ReadSources>, Failure> {
    let mut files = Vec::new();
    let mut files_anywhere = Vec::new();
    for path in folders.files("sources", "toml")? {
        let text = folders.without_mapped_tables(&path, read_text(&path)?)?;
        if let Some(substituted) = substituted(&path, &text, settings, Quoting::Toml, problems) {
            files.push(SourceFile {
                path: path.display().to_string(),
                text: substituted,
            });
        }
        if let Ok(text) = substitute(&text, settings, Quoting::TomlWithoutPaths) {
            files_anywhere.push((path.display().to_string(), text));
        }
    }
    if files.is_empty() && problems.is_empty() {
        problems.push(format!(
            "{}: there are no sources/*.toml, so nothing would come in\n  help: see `sluice init NAME` for a project to start from",
            folder.display()
        ));
        return Ok(None);
    }
    match parse_sources(&files) {
        Ok(sources) => {
            let places = sources.places_nowhere().iter();
            problems.extend(places.map(ToString::to_string));
            for table in sources.tables() {
                if table.name.starts_with(OWN_PREFIX) && table.name != DIVERSION_RULES {
                    problems.push(format!(
                        "{}: the table `{}` has a name of Sluice's own\n  help: names that begin with `{OWN_PREFIX}` are for what the program itself tells",
                        folder.join("sources").display(),
                        table.name
                    ));
                }
            }
            Ok(Some((sources, files, files_anywhere)))
        }
        Err(errors) => {
            problems.extend(errors.iter().map(ToString::to_string));
            Ok(None)
        }
    }
}

/// Topics and tables whose files may lie anywhere.
fn sources_anywhere(texts: &[(String, String)]) -> Result<Sources, Failure> {
    let files: Vec<SourceFile> = texts.iter().map(source_file).collect();
    parsed(&files)
}

fn source_file((path, text): &(String, String)) -> SourceFile {
    SourceFile {
        path: path.clone(),
        text: text.clone(),
    }
}

fn parsed(files: &[SourceFile]) -> Result<Sources, Failure> {
    parse_sources(files).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::Definitions(lines.join("\n"))
    })
}

/// `name = "meaning"`, for columns whose model does not say what they are.
fn load_meanings(folders: &Folders) -> Result<BTreeMap<String, String>, Failure> {
    let Some(path) = folders.file(COLUMNS) else {
        return Ok(BTreeMap::new());
    };
    let text = read_text(&path)?;
    toml::from_str(&text).map_err(|error| {
        let message = error.message();
        let before = &text[..error.span().map_or(0, |span| span.start)];
        let line = before.matches('\n').count() + 1;
        Failure::Definitions(format!(
            "{}:{line}:1: {message}\n  help: write one column a line: name = \"what it means\"",
            path.display()
        ))
    })
}

fn load_panels(
    folders: &Folders,
    settings: &Settings,
    problems: &mut Vec<String>,
) -> Result<PanelDefinitions, Failure> {
    let mut read = |path: &Path| -> Result<Option<PanelFile>, Failure> {
        let text = read_text(path)?;
        let text = substituted(path, &text, settings, Quoting::Toml, problems);
        let path = path.display().to_string();
        Ok(text.map(|text| PanelFile { path, text }))
    };
    let defaults = match folders.file(PANEL_COLUMNS) {
        Some(path) => read(&path)?,
        None => None,
    };
    let mut files = Vec::new();
    for path in folders.files("panels", "toml")? {
        files.extend(read(&path)?);
    }
    let parsed = PanelDefinitions::parse(&files, defaults.as_ref());
    Ok(parsed.unwrap_or_else(|errors| {
        problems.extend(errors.iter().map(ToString::to_string));
        PanelDefinitions::default()
    }))
}

fn load_views(
    folders: &Folders,
    settings: &Settings,
    problems: &mut Vec<String>,
) -> Result<Vec<ViewDefinition>, Failure> {
    let mut views = Vec::new();
    for path in folders.files("models", "sql")? {
        let text = read_text(&path)?;
        let Some(sql) = substituted(&path, &text, settings, Quoting::Sql, problems) else {
            continue;
        };
        let stem = path.file_stem().unwrap_or_default();
        views.push(ViewDefinition {
            name: stem.to_string_lossy().into_owned(),
            file: path.display().to_string(),
            sql,
        });
    }
    Ok(views)
}

fn substituted(
    path: &Path,
    text: &str,
    settings: &Settings,
    quoting: Quoting,
    problems: &mut Vec<String>,
) -> Option<String> {
    match substitute(text, settings, quoting) {
        Ok(text) => Some(text),
        Err(unknown) => {
            let known: Vec<&str> = settings.keys().map(String::as_str).collect();
            problems.push(format!(
                "{}:{}:{}: there is no setting `{}`\n  help: add it under [settings] in warehouse.toml; known: {}",
                path.display(),
                unknown.line,
                unknown.column,
                unknown.name,
                known.join(", "),
            ));
            None
        }
    }
}

/// All files that a project is read from.
///
/// # Errors
/// When a folder cannot be read.
pub fn project_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let config_path = folder.join("warehouse.toml");
    // What is wrong with it is said where it is read.
    let text = std::fs::read_to_string(&config_path).unwrap_or_default();
    let config = Config::parse(&config_path, &text).ok();
    let extends = config.and_then(|config| config.extends);
    let folders = Folders::new(folder, extends.as_deref());
    let mut files = vec![config_path];
    files.extend(folders.base().map(|base| base.join("warehouse.toml")));
    files.extend(
        [DICTIONARY, COLUMNS, PANEL_COLUMNS]
            .iter()
            .filter_map(|name| folders.file(name)),
    );
    files.extend(folders.files("sources", "toml")?);
    files.extend(folders.files("models", "sql")?);
    files.extend(folders.files("panels", "toml")?);
    files.extend(folders.files("alerts", "toml")?);
    Ok(files)
}

/// The text of a file of the project.
///
/// # Errors
/// When it cannot be read, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(path).doing(&format!("reading {}", path.display()))?;
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let line = bytes[..offset]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count()
            + 1;
        Failure::Definitions(format!(
            "{}:{line}:1: the file is not UTF-8\n  help: save it as UTF-8",
            path.display()
        ))
    })
}
