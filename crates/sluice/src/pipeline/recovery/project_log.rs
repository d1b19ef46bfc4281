//! The log of a project, with its topics and the sources that are their own log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_core::Disk;
use sluice_log::{Log, LogOptions, SourcePlace};
use sluice_route::CaptureKind;

use crate::failure::{Doing, Failure};
use crate::pipeline::capture_kafka::kafka_log;
use crate::project::Project;
use crate::report::Reporter;

/// Opens the log and makes the project's topics.
///
/// # Errors
/// When a segment is damaged or the disk refuses.
pub fn open_log(
    disk: &Arc<dyn Disk>,
    project: &Project,
    state: &Path,
    reporter: Reporter,
) -> Result<Log, Failure> {
    let options = LogOptions {
        record_bytes_max: project.config.limits.record_bytes_max,
        segment_bytes_max: project.config.log.segment_bytes_max,
    };
    let what = format!("opening the log in {}", state.join("log").display());
    let log = Log::open(disk.clone(), &state.join("log"), options).doing(&what)?;
    prepare_topics(&log, project, reporter)?;
    Ok(log)
}

/// Makes the project's topics, where they are not there yet, and reads the log
/// from its sources. `reporter` is told when one that is its own log does not
/// answer.
///
/// # Errors
/// When the disk refuses, or a topic has lost partitions.
pub fn prepare_topics(log: &Log, project: &Project, reporter: Reporter) -> Result<(), Failure> {
    make_topics(log, project)?;
    for (topic, place) in source_places(project, reporter) {
        let set = match place {
            SourcePlace::Folder(folder) => log.set_source_folder(&topic, &folder),
            SourcePlace::Reader(reader) => log.set_source(&topic, reader),
        };
        set.doing(&format!("opening the source of topic `{topic}`"))?;
    }
    Ok(())
}

/// Makes the project's topics, where they are not there yet.
///
/// # Errors
/// When the disk refuses, or a topic has lost partitions.
pub(in crate::pipeline) fn make_topics(log: &Log, project: &Project) -> Result<(), Failure> {
    for (topic, partitions) in project.sources.topics() {
        log.create_topic(&topic, partitions)
            .doing(&format!("making the topic `{topic}`"))?;
    }
    Ok(())
}

/// Where the records of a project's topics lie, if not in the log. They may do so
/// even if their source is no longer its own log.
pub(in crate::pipeline) fn source_places(
    project: &Project,
    reporter: Reporter,
) -> BTreeMap<String, SourcePlace> {
    let captures = project.sources.captures().iter();
    let places = captures.filter_map(|capture| {
        let topic = &capture.topic;
        let place = match &capture.kind {
            CaptureKind::File { path, .. } => {
                let path = PathBuf::from(project.resolve(path));
                let folder = path.parent().unwrap_or(Path::new("."));
                SourcePlace::Folder(folder.to_path_buf())
            }
            CaptureKind::Kafka(cluster) => {
                SourcePlace::Reader(kafka_log(project, topic, cluster, reporter))
            }
            _ => return None,
        };
        Some((topic.clone(), place))
    });
    places.collect()
}
