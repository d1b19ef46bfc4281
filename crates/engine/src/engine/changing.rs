//! The engine goes over to another program between two epochs.

use super::*;

impl Engine {
    /// Goes over to another program between two epochs. `part` is an engine of
    /// [`ProgramChange::part`] that has seen everything that this one has; what
    /// stays is kept as it is.
    ///
    /// # Errors
    /// When one of the engines failed before, or the part is missing.
    pub fn change(
        &mut self,
        change: &ProgramChange,
        part: Option<Self>,
    ) -> Result<(), EngineError> {
        let missing = || EngineError::Invariant("a change of views without its new part".into());
        if self.failed || part.as_ref().is_some_and(|part| part.failed) {
            return Err(EngineError::Invariant(
                "an engine that failed cannot change its views".into(),
            ));
        }
        self.failed = true;
        let program = change.program().clone();
        let mut next = Self::new(program, self.options.clone())?;
        let (mut new_running, mut new_arrangements) = (Vec::new(), Vec::new());
        if let Some(mut part) = part {
            self.watermarks
                .replace(&change.other_tables, &part.watermarks);
            self.closed_by
                .replace(&change.other_tables, &part.closed_by);
            part.watermarks = self.watermarks.clone();
            part.closed_by = Watermarks::default();
            part.drop_finished_state()?;
            new_running = part.running.into_iter().map(Some).collect();
            new_arrangements = part.arrangements.into_iter().map(Some).collect();
        }
        let old_prints = &self.program.prints;
        let old_nodes = std::mem::take(&mut self.running).into_iter();
        let mut old_nodes = old_nodes.zip(std::mem::take(&mut self.node_parts));
        for place in 0..next.running.len() {
            let old = old_nodes.next();
            if change.new_nodes.contains(&place) {
                let new = new_running.get_mut(place).and_then(Option::take);
                next.running[place] = new.ok_or_else(missing)?;
            } else if let Some((running, parts)) = old
                && next.program.prints.nodes[place] == old_prints.nodes[place]
            {
                next.running[place] = running;
                next.node_parts[place] = parts;
                next.work[place] = self.work[place];
                let prefix = format!("{NODE}/{place}/");
                let names = self.whole_parts.iter();
                let names = names.filter(|name| name.starts_with(&prefix)).cloned();
                next.whole_parts.extend(names);
            }
        }
        let old_arrangements = std::mem::take(&mut self.arrangements).into_iter();
        let mut old_arrangements =
            old_arrangements.zip(std::mem::take(&mut self.arrangement_parts));
        for place in 0..next.arrangements.len() {
            let old = old_arrangements.next();
            if change.new_arrangements.contains(&place) {
                let new = new_arrangements.get_mut(place).and_then(Option::take);
                next.arrangements[place] = new.ok_or_else(missing)?;
            } else if let Some((arrangement, parts)) = old
                && next.program.prints.arrangements[place] == old_prints.arrangements[place]
            {
                next.arrangements[place] = arrangement;
                next.arrangement_parts[place] = parts;
            }
        }
        next.id_domains = std::mem::take(&mut self.id_domains);
        next.id_parts = std::mem::take(&mut self.id_parts);
        next.last_epoch = self.last_epoch;
        next.watermarks = std::mem::take(&mut self.watermarks);
        next.closed_by = std::mem::take(&mut self.closed_by);
        *self = next;
        Ok(())
    }
}
