//! The operators of a program, before they have any state.

use super::*;

pub(super) fn start_node(program: &Program, node: &Node) -> Result<Running, EngineError> {
    let view = node.view.clone();
    let schema = node.schema.clone();
    let operator: Box<dyn Operator> = match node.kind.clone() {
        NodeKind::Table(index) => {
            let table = TableInput::new(program.tables[index].clone())?;
            return Ok(Running::Table(Box::new(table)));
        }
        NodeKind::Constant(rows) => Box::new(Constant::new(rows)),
        NodeKind::Filter(predicate) => Box::new(Filter { view, predicate }),
        NodeKind::Project(expressions) => Box::new(Project {
            view,
            expressions,
            schema,
        }),
        NodeKind::Unnest(spec) => Box::new(Unnest::new(spec, schema)),
        NodeKind::UniqIds { value, domain } => Box::new(UniqIds {
            view,
            value,
            domain,
            schema,
        }),
        NodeKind::Union => Box::new(Union::new(schema)),
        NodeKind::Time(TimeNode::History { table }) => {
            let history = history_definition(&program.tables[table]);
            return Ok(Running::History(Box::new(TableInput::new(history)?)));
        }
        NodeKind::Time(time_node) => {
            let left = node.inputs.first();
            let left_width = left.map(|&left| program.graph.nodes[left].schema.fields().len());
            time_node.start(schema, left_width.unwrap_or_default())?
        }
        NodeKind::Aggregate { group_by, calls } => {
            Box::new(Aggregate::new(view, group_by, calls, schema)?)
        }
        NodeKind::InnerJoin {
            left,
            right,
            residual,
        } => Box::new(InnerJoin {
            view,
            left,
            right,
            residual,
            schema,
        }),
        NodeKind::OuterJoin {
            output,
            left,
            right,
            left_types,
            right_types,
            residual,
            pair_schema,
        } => Box::new(OuterJoin::new(
            view,
            output,
            left,
            right,
            left_types,
            right_types,
            residual,
            pair_schema,
            schema,
        )),
        NodeKind::Window(spec) => Box::new(Window::new(view, spec, schema)?),
        NodeKind::TopK(spec) => Box::new(TopK::new(spec, schema)?),
    };
    Ok(Running::Operator(operator))
}
