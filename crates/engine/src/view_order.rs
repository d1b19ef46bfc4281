//! An order of views in which each comes after those that it reads.

/// What [`order_views`] finds, as positions of views.
pub(crate) struct ViewOrder {
    /// All views, each behind its inputs except where a cycle forbids it.
    pub(crate) order: Vec<usize>,
    /// Views that read each other: each begins and ends with the same one.
    pub(crate) cycles: Vec<Vec<usize>>,
}

/// Orders views of which each reads those of its `inputs`.
pub(crate) fn order_views(inputs: &[Vec<usize>]) -> ViewOrder {
    let mut visit = Visit {
        inputs,
        marks: vec![Mark::New; inputs.len()],
        order: Vec::new(),
        path: Vec::new(),
        cycles: Vec::new(),
    };
    for index in 0..inputs.len() {
        visit.run(index);
    }
    let Visit { order, cycles, .. } = visit;
    ViewOrder { order, cycles }
}

/// Depth-first search for an order, and for cycles.
struct Visit<'a> {
    inputs: &'a [Vec<usize>],
    marks: Vec<Mark>,
    order: Vec<usize>,
    path: Vec<usize>,
    cycles: Vec<Vec<usize>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    Open,
    Done,
}

impl Visit<'_> {
    fn run(&mut self, index: usize) {
        match self.marks[index] {
            Mark::Done => {}
            Mark::Open => {
                let start = self.path.iter().position(|&open| open == index);
                let mut cycle = self.path[start.unwrap_or(0)..].to_vec();
                cycle.push(index);
                self.cycles.push(cycle);
            }
            Mark::New => {
                self.marks[index] = Mark::Open;
                self.path.push(index);
                for &input in &self.inputs[index] {
                    self.run(input);
                }
                self.path.pop();
                self.marks[index] = Mark::Done;
                self.order.push(index);
            }
        }
    }
}
