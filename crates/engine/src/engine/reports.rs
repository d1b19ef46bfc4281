//! What the engine tells about itself.

use super::*;

impl Engine {
    /// The operators with what they hold and have done, inputs first.
    pub fn operators(&self) -> Vec<OperatorReport> {
        let graph = &self.program.graph;
        let mut reports: Vec<OperatorReport> = Vec::with_capacity(graph.nodes.len());
        for (number, (running, node)) in self.running.iter().zip(&graph.nodes).enumerate() {
            let (kind, detail) = describe(&node.kind);
            let (state_rows, state_bytes) = match running {
                Running::Fed(_) => (0, 0),
                Running::Table(table) | Running::History(table) => {
                    (table.state_rows(), table.state_bytes())
                }
                Running::Operator(operator) => (operator.state_rows(), operator.state_bytes()),
            };
            let rows_evaluated = match running {
                Running::Operator(operator) => operator.rows_evaluated(),
                _ => 0,
            };
            reports.push(OperatorReport {
                number,
                view: node.view.clone(),
                kind,
                detail,
                inputs: node.inputs.clone(),
                append_only: node.append_only,
                state_rows,
                state_bytes,
                rows_evaluated,
                work: self.work[number],
                ..OperatorReport::default()
            });
        }
        let indexes = self.arrangements.iter().zip(&graph.arrangements);
        for (arrangement, spec) in indexes.filter(|(_, spec)| spec.node != UNUSED) {
            reports[spec.node].index_rows += arrangement.state_rows();
            reports[spec.node].index_bytes += arrangement.state_bytes();
        }
        for (name, &node) in &self.program.collection_nodes {
            reports[node].collections.push(name.clone());
        }
        // Places that nothing has.
        reports.retain(|report| !report.view.is_empty());
        reports
    }

    /// Sizes, for monitoring.
    pub fn metrics(&self) -> EngineMetrics {
        let mut metrics = EngineMetrics::default();
        let nodes = &self.program.graph.nodes;
        let used = |node: &&Node| !node.view.is_empty();
        let pairs = self.running.iter().zip(nodes);
        for (running, node) in pairs.filter(|(_, node)| used(node)) {
            let (rows, bytes) = match running {
                Running::Fed(_) => (0, 0),
                Running::Table(table) => {
                    let ignored = table.ignored_changes;
                    metrics
                        .ignored_changes
                        .insert(table.name().to_owned(), ignored);
                    (table.state_rows(), table.state_bytes())
                }
                Running::History(table) => (table.state_rows(), table.state_bytes()),
                Running::Operator(operator) => (operator.state_rows(), operator.state_bytes()),
            };
            *metrics.state_bytes.entry(node.view.clone()).or_default() += bytes;
            *metrics.state_rows.entry(node.view.clone()).or_default() += rows;
        }
        for (arrangement, spec) in self
            .arrangements
            .iter()
            .zip(&self.program.graph.arrangements)
            .filter(|(_, spec)| spec.node != UNUSED)
        {
            let view = nodes[spec.node].view.clone();
            let (rows, bytes) = (arrangement.state_rows(), arrangement.state_bytes());
            *metrics.state_bytes.entry(view.clone()).or_default() += bytes;
            *metrics.state_rows.entry(view).or_default() += rows;
        }
        let (ids, bytes) = self.id_domains.size();
        if ids > 0 {
            metrics.state_rows.insert(UNIQ_IDS.to_owned(), ids);
            metrics.state_bytes.insert(UNIQ_IDS.to_owned(), bytes);
        }
        metrics
    }
}
