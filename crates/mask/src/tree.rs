//! Places in a JSON document that rules are about, as a tree.

/// Number of a node of a [`Tree`].
pub(crate) type NodeId = u32;

/// What a place is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// Number of the rule about the value here.
    pub(crate) rule: Option<u32>,
    /// Elements of an array here are rows of a table, numbered by their index.
    pub(crate) has_rows: bool,
}

#[derive(Debug, Clone, Default)]
struct Branch {
    node: Node,
    members: Vec<(Box<[u8]>, NodeId)>,
    /// Members that are not named.
    others: Option<NodeId>,
    elements: Option<NodeId>,
}

/// Rules by place. Names are compared without regard to ASCII case: databases do
/// not regard it, and a value that is masked once too often does no harm.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    branches: Vec<Branch>,
}

impl Tree {
    /// The node of the whole document.
    pub(crate) const ROOT: NodeId = 0;

    pub(crate) fn new() -> Self {
        let branches = vec![Branch::default()];
        Self { branches }
    }

    fn push(&mut self) -> NodeId {
        self.branches.push(Branch::default());
        (self.branches.len() - 1) as NodeId
    }

    /// The member `name` of a place, which is made if need be.
    pub(crate) fn member(&mut self, of: NodeId, name: &str) -> NodeId {
        let known = self.branches[of as usize].members.iter();
        let known = known
            .clone()
            .find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
        if let Some((_, node)) = known {
            return *node;
        }
        let node = self.push();
        let members = &mut self.branches[of as usize].members;
        members.push((name.as_bytes().into(), node));
        node
    }

    /// Members of a place that have no rule of their own.
    pub(crate) fn others(&mut self, of: NodeId) -> NodeId {
        if let Some(node) = self.branches[of as usize].others {
            return node;
        }
        let node = self.push();
        self.branches[of as usize].others = Some(node);
        node
    }

    /// The elements of an array at a place.
    pub(crate) fn elements(&mut self, of: NodeId) -> NodeId {
        if let Some(node) = self.branches[of as usize].elements {
            return node;
        }
        let node = self.push();
        self.branches[of as usize].elements = Some(node);
        node
    }

    /// Lets elements of an array at a place be what the place is.
    pub(crate) fn elements_are_rows(&mut self, of: NodeId) {
        let branch = &mut self.branches[of as usize];
        branch.elements = Some(of);
        branch.node.has_rows = true;
    }

    /// The place of a JSON pointer in which `*` is every member or element.
    pub(crate) fn pointer(&mut self, from: NodeId, pointer: &str) -> Vec<NodeId> {
        let mut nodes = vec![from];
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let mut next = Vec::new();
            for node in nodes {
                if part == "*" {
                    next.push(self.others(node));
                    next.push(self.elements(node));
                } else {
                    next.push(self.member(node, &part));
                }
            }
            nodes = next;
        }
        nodes
    }

    pub(crate) fn set_rule(&mut self, node: NodeId, rule: u32) {
        self.branches[node as usize].node.rule = Some(rule);
    }

    pub(crate) fn node(&self, node: NodeId) -> Node {
        self.branches[node as usize].node
    }

    /// The place of a member; `None` if no rule is there or below.
    pub(crate) fn find_member(&self, of: NodeId, name: &[u8]) -> Option<NodeId> {
        let branch = &self.branches[of as usize];
        let named = branch.members.iter();
        let named = named
            .clone()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map_or(branch.others, |(_, node)| Some(*node))
    }

    /// The place of an element. An array where none is expected may hold what
    /// is: its elements are what the array would have been.
    pub(crate) fn find_element(&self, of: NodeId, index: usize) -> NodeId {
        let branch = &self.branches[of as usize];
        let otherwise = branch.elements.unwrap_or(of);
        if branch.members.is_empty() || branch.node.has_rows {
            return otherwise;
        }
        let name = index.to_string();
        let named = branch.members.iter();
        let named = named
            .clone()
            .find(|(known, _)| known.as_ref() == name.as_bytes());
        named.map_or(otherwise, |(_, node)| *node)
    }
}
