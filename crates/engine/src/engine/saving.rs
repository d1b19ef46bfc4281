//! Checkpoints of the engine, and engines made of them.

use super::*;

impl Engine {
    /// The parts of the state that changed since the last call.
    ///
    /// # Errors
    /// When the engine failed before.
    pub fn checkpoint(&mut self) -> Result<EngineCheckpoint, EngineError> {
        if self.failed {
            return Err(EngineError::Invariant(
                "a failed engine has no state to save".into(),
            ));
        }
        let mut changed = BTreeMap::new();
        let mut header = versioned();
        header.u64(self.program.fingerprint());
        header.u64(self.last_epoch.unwrap_or_default());
        self.watermarks.save(&mut header);
        self.program.prints.save(&mut header);
        changed.insert(HEADER_PART.to_owned(), header.finish());
        let epoch = self.last_epoch.unwrap_or_default();
        let threads = self.options.worker_threads;
        let stateful = self.stateful();
        let saved = save_all(stateful, epoch, threads);
        self.whole_parts.extend(saved.whole.keys().cloned());
        changed.extend(saved.tracked);
        changed.extend(saved.whole);
        let mut live = self.whole_parts.clone();
        live.insert(HEADER_PART.to_owned());
        let parts = self.node_parts.iter().chain(&self.arrangement_parts);
        for parts in parts.chain(&self.id_parts) {
            live.extend(parts.names());
        }
        Ok(EngineCheckpoint { changed, live })
    }

    /// Collects a piece of the state ahead of a checkpoint that is due, so that
    /// none has to collect much at once. True when the checkpoint can be made;
    /// otherwise to be called again, after other epochs or at once. What is
    /// collected is part of the next [`Engine::checkpoint`], and never lost.
    pub fn collect_ahead(&mut self) -> bool {
        // As much as comes in, so that an epoch takes twice its time at most.
        let of_epoch = std::mem::take(&mut self.rows_of_epoch);
        let rows_max = self.options.collected_rows_min.max(of_epoch);
        let mut left = rows_max;
        for stateful in self.stateful() {
            let collected = match stateful {
                Stateful::Tracked(state, parts) => parts.collect_ahead(state, rows_max),
                Stateful::TrackedOperator(operator, parts) => {
                    let state = operator.saved_state();
                    state.map_or(0, |state| parts.collect_ahead(state, rows_max))
                }
                Stateful::Whole(..) => 0,
            };
            left = left.saturating_sub(collected);
            if left == 0 {
                return false;
            }
        }
        left == rows_max
    }

    /// All that checkpoints save.
    fn stateful(&mut self) -> Vec<Stateful<'_>> {
        let nodes = self.running.iter_mut().zip(&mut self.node_parts);
        let nodes = nodes
            .enumerate()
            .filter_map(|(number, (running, parts))| match running {
                Running::Fed(_) => None,
                Running::Table(table) | Running::History(table) => {
                    Some(Stateful::Tracked(table.as_mut(), parts))
                }
                Running::Operator(operator) => Some(match operator.saved_state().is_some() {
                    true => Stateful::TrackedOperator(operator.as_mut(), parts),
                    false => Stateful::Whole(number, operator.as_mut()),
                }),
            });
        let arrangements = self
            .arrangements
            .iter_mut()
            .zip(&mut self.arrangement_parts);
        let arrangements =
            arrangements.map(|(arrangement, parts)| Stateful::Tracked(arrangement, parts));
        let domains = self.id_domains.iter_mut().zip(&mut self.id_parts);
        let domains = domains.map(|(domain, parts)| Stateful::Tracked(domain, parts));
        nodes.chain(arrangements).chain(domains).collect()
    }

    /// An engine as it was after `epoch`. Parts with other names are ignored.
    ///
    /// # Errors
    /// When the parts belong to other definitions, another epoch or another
    /// format, or cannot be decoded.
    pub fn restore(
        program: Arc<Program>,
        options: EngineOptions,
        epoch: Epoch,
        parts: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, EngineError> {
        let header = Header::read(parts)?;
        let program = header.check(epoch, program)?;
        let mut engine = Self::new(program, options)?;
        engine.watermarks = header.watermarks;
        engine.closed_by = engine.watermarks.clone();
        let known = engine.node_parts.iter_mut().zip(&mut engine.running);
        for (number, (known, running)) in known.enumerate() {
            let state: &mut dyn SavedState = match running {
                Running::Fed(_) => continue,
                Running::Table(table) | Running::History(table) => table.as_mut(),
                Running::Operator(operator) => {
                    let is_tracked = operator.saved_state().is_some();
                    if !is_tracked || !operator.parts_suffix().is_empty() {
                        let names = load_whole(number, operator.as_mut(), parts)?;
                        if !is_tracked {
                            engine.whole_parts.extend(names);
                        }
                    }
                    match operator.saved_state() {
                        Some(state) => state,
                        None => continue,
                    }
                }
            };
            known.load(state, parts)?;
        }
        let known = engine.arrangement_parts.iter_mut();
        for (known, arrangement) in known.zip(&mut engine.arrangements) {
            known.load(arrangement, parts)?;
        }
        let known = engine.id_parts.iter_mut();
        for (known, domain) in known.zip(engine.id_domains.iter_mut()) {
            known.load(domain, parts)?;
        }
        engine.last_epoch = Some(epoch);
        Ok(engine)
    }

    /// Whether the parts of a checkpoint can be read under `program`: whether it
    /// was made under the same definitions, planned in the same way.
    pub fn can_restore(program: &Program, parts: &BTreeMap<String, Vec<u8>>) -> bool {
        match Header::read(parts) {
            Ok(header) => header.places(program).is_some(),
            // What is damaged is reported by `restore`.
            Err(_) => true,
        }
    }
}

/// Takes back an operator that saves whole shards. Returns the parts' names.
fn load_whole(
    number: usize,
    operator: &mut dyn Operator,
    parts: &BTreeMap<String, Vec<u8>>,
) -> Result<Vec<String>, EngineError> {
    let mut names = Vec::new();
    for shard in 0..sluice_core::VIRTUAL_SHARDS {
        let name = format!("{NODE}/{number}/{shard}");
        let Some(bytes) = parts.get(&name) else {
            continue;
        };
        let body = unversioned(&name, bytes)?;
        operator
            .load(shard, body)
            .map_err(|source| EngineError::State {
                part: name.clone(),
                source,
            })?;
        names.push(name);
    }
    Ok(names)
}

/// Something that a checkpoint saves.
enum Stateful<'a> {
    Tracked(&'a mut dyn SavedState, &'a mut StateParts),
    TrackedOperator(&'a mut dyn Operator, &'a mut StateParts),
    Whole(usize, &'a mut dyn Operator),
}

/// What a checkpoint has to write.
#[derive(Default)]
struct Saved {
    tracked: Parts,
    whole: BTreeMap<String, Vec<u8>>,
}

/// Saves what changed, each thread taking the next that nobody took. Parts have
/// names, so that who saved them does not matter.
fn save_all(stateful: Vec<Stateful<'_>>, epoch: Epoch, threads: usize) -> Saved {
    let waiting = Mutex::new(stateful);
    let saved = Mutex::new(Saved::default());
    let save_next = |next: Stateful<'_>| match next {
        Stateful::Tracked(state, parts) => {
            let parts = parts.save(epoch, state);
            saved.lock().tracked.extend(parts);
        }
        Stateful::TrackedOperator(operator, parts) => {
            if let Some(state) = operator.saved_state() {
                let parts = parts.save(epoch, state);
                saved.lock().tracked.extend(parts);
            }
        }
        Stateful::Whole(number, operator) => {
            let shards = operator.save_changed().into_iter();
            let parts = shards.map(|(shard, bytes)| {
                let mut writer = versioned();
                writer.raw(&bytes);
                (format!("{NODE}/{number}/{shard}"), writer.finish())
            });
            saved.lock().whole.extend(parts);
        }
    };
    let save_waiting = || {
        loop {
            let next = waiting.lock().pop();
            let Some(next) = next else { return };
            save_next(next);
        }
    };
    if threads <= 1 {
        save_waiting();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(save_waiting);
            }
        });
    }
    saved.into_inner()
}
