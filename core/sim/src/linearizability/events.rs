//! The starts and answers of a key's acts in the order of time, as linked lists from which an act
//! can be lifted and put back in constant time (Wing & Gong 1993; Knuth's dancing links).

use super::register::Register;

/// A start or an answer, by its place in time; or the head of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node(u32);

impl Node {
    fn at(index: usize) -> Node {
        Node(u32::try_from(index).expect("a history's bound leaves room for two nodes a call"))
    }

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// What stands at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The act of this rank begins.
    Start(usize),
    /// An act that must be ordered ends.
    End,
    /// A list ends.
    Head,
}

/// Two circular lists: of the acts that must be ordered, starts and ends; of the others, starts.
#[derive(Debug)]
pub(super) struct Events {
    events: Vec<Event>,
    next: Vec<Node>,
    previous: Vec<Node>,
    /// By rank.
    starts: Vec<Node>,
    /// By rank, of those that must be ordered.
    ends: Vec<Node>,
}

impl Events {
    /// All acts, none lifted.
    pub(super) fn new(register: &Register) -> Events {
        let must_count = register.must_count();
        // A start comes before an end of the same time: these two acts overlap.
        let mut sorted = Vec::with_capacity(register.acts().len() + must_count);
        for (rank, act) in register.acts().iter().enumerate() {
            sorted.push((act.call.invoked, false, rank));
            let end = act.call.answer.filter(|_| act.must());
            sorted.extend(end.map(|answer| (answer.at, true, rank)));
        }
        sorted.sort_unstable();
        let nodes = sorted.len();
        let (must_head, may_head) = (Node::at(nodes), Node::at(nodes + 1));
        let mut lists = Events {
            events: vec![Event::Head; nodes + 2],
            next: vec![must_head; nodes + 2],
            previous: vec![must_head; nodes + 2],
            starts: vec![must_head; register.acts().len()],
            ends: vec![must_head; must_count],
        };
        lists.join(may_head, may_head);
        for (index, (_, is_end, rank)) in sorted.into_iter().enumerate() {
            let head = if rank < must_count { must_head } else { may_head };
            lists.append(head, Node::at(index));
            if is_end {
                lists.events[index] = Event::End;
                lists.ends[rank] = Node::at(index);
            } else {
                lists.events[index] = Event::Start(rank);
                lists.starts[rank] = Node::at(index);
            }
        }
        lists
    }

    /// The first of the acts that must be ordered.
    pub(super) fn first_must(&self) -> Node {
        self.next[self.events.len() - 2]
    }

    /// The first of the acts that may be left out.
    pub(super) fn first_may(&self) -> Node {
        self.next[self.events.len() - 1]
    }

    /// What follows in the same list. A lifted act still knows where it stood.
    pub(super) fn after(&self, node: Node) -> Node {
        self.next[node.index()]
    }

    /// What stands at a node.
    pub(super) fn event(&self, node: Node) -> Event {
        self.events[node.index()]
    }

    /// Where an act begins.
    pub(super) fn start(&self, rank: usize) -> Node {
        self.starts[rank]
    }

    /// Where an act that must be ordered ends.
    pub(super) fn end(&self, rank: usize) -> Node {
        self.ends[rank]
    }

    /// Takes an act out of its list.
    pub(super) fn lift(&mut self, rank: usize) {
        self.unlink(self.starts[rank]);
        if let Some(&end) = self.ends.get(rank) {
            self.unlink(end);
        }
    }

    /// Puts back the act that was lifted last.
    pub(super) fn unlift(&mut self, rank: usize) {
        if let Some(&end) = self.ends.get(rank) {
            self.relink(end);
        }
        self.relink(self.starts[rank]);
    }

    fn append(&mut self, head: Node, node: Node) {
        self.join(self.previous[head.index()], node);
        self.join(node, head);
    }

    fn join(&mut self, left: Node, right: Node) {
        self.next[left.index()] = right;
        self.previous[right.index()] = left;
    }

    fn unlink(&mut self, node: Node) {
        let (left, right) = (self.previous[node.index()], self.next[node.index()]);
        self.join(left, right);
    }

    fn relink(&mut self, node: Node) {
        let (left, right) = (self.previous[node.index()], self.next[node.index()]);
        debug_assert!(self.next[left.index()] == right, "acts return in the reverse order");
        self.next[left.index()] = node;
        self.previous[right.index()] = node;
    }
}
