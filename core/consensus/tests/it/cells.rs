//! The lab's state machine: cells that hash what is executed, with checkpoints and parts.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorumark_consensus::engine::{Executed, Execution, StateAnswer, StateWork};
use quorumark_consensus::parts::{Cut, append_leaf};
use quorumark_consensus::{Request, Seq, StateRoot};
use quorumark_primitives::Digest;
use quorumark_primitives::hash::sha256;
use quorumark_primitives::merkle::{self, Rule, leaf_hash};

/// What the lab's state machine answers to a request.
pub(crate) fn result_of(request: &Request) -> Bytes {
    Bytes::copy_from_slice(&request.digest().0[..8])
}

/// How many cells there are, and how many bytes each is as a leaf.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub cells: usize,
    pub leaf_bytes: usize,
}

impl Shape {
    pub(crate) const SMALL: Shape = Shape { cells: 16, leaf_bytes: 40 };
}

/// A state of cells. A request is hashed into the cell that its digest names.
#[derive(Clone)]
pub(crate) struct Cells {
    shape: Shape,
    cells: Vec<Digest>,
    kept: BTreeMap<Seq, Vec<Digest>>,
    /// While an execution is tentative: what was before it.
    before: Option<(Seq, Vec<Digest>)>,
}

impl Cells {
    pub(crate) fn new(shape: Shape) -> Cells {
        let cells = vec![Digest::ZERO; shape.cells];
        let kept = BTreeMap::from([(Seq(0), cells.clone())]);
        Cells { shape, kept, cells, before: None }
    }

    pub(crate) fn execute(&mut self, execution: &Execution) -> Executed {
        let before = Seq(execution.seq.0 - 1);
        self.before = execution.tentative.then(|| (before, self.cells.clone()));
        let requests = execution.fresh.iter();
        let requests = requests.map(|place| execution.batch.request(*place).unwrap());
        let results = requests
            .map(|request| {
                let digest = request.digest();
                let cell = &mut self.cells[usize::from(digest.0[0]) % self.shape.cells];
                *cell = sha256(&[cell.0, digest.0].concat());
                result_of(&request.request())
            })
            .collect();
        let state_root = execution.checkpoint.then(|| {
            self.kept.insert(execution.seq, self.cells.clone());
            self.root()
        });
        Executed { seq: execution.seq, results, state_root }
    }

    pub(crate) fn root(&self) -> StateRoot {
        let hashes: Vec<_> = self.cells.iter().map(|cell| self.leaf_hash(cell)).collect();
        StateRoot { root: merkle::root(Rule::Rfc6962, &hashes), leaves: self.shape.cells as u64 }
    }

    pub(crate) fn keeps(&self, seq: Seq) -> bool {
        self.kept.contains_key(&seq)
    }

    /// Bytes of the whole state, as parts.
    pub(crate) fn size(&self) -> u64 {
        (self.shape.cells * (4 + self.shape.leaf_bytes)) as u64
    }

    fn leaf(&self, cell: &Digest) -> Vec<u8> {
        cell.0.iter().copied().cycle().take(self.shape.leaf_bytes).collect()
    }

    fn leaf_hash(&self, cell: &Digest) -> Digest {
        leaf_hash(Rule::Rfc6962, &self.leaf(cell))
    }

    fn cut(&self) -> Cut {
        Cut::new(self.shape.cells as u64).unwrap()
    }

    /// Does what an engine asks of the state.
    pub(crate) fn serve(&mut self, work: StateWork) -> Option<StateAnswer> {
        Some(match work {
            StateWork::Digests { at } => {
                let cells = at.map_or(Some(&self.cells), |seq| self.kept.get(&seq));
                let found = cells.map(|cells| {
                    let hashes: Vec<_> = cells.iter().map(|cell| self.leaf_hash(cell)).collect();
                    (self.shape.cells as u64, self.cut().digests(&hashes))
                });
                StateAnswer::Digests { at, found }
            }
            StateWork::Read { seq, nth } => {
                let found = self.kept.get(&seq).map(|cells| {
                    let mut part = Vec::new();
                    for place in self.cut().leaves_of(nth) {
                        append_leaf(&self.leaf(&cells[place as usize]), &mut part);
                    }
                    Bytes::from(part)
                });
                StateAnswer::Part { seq, nth, found }
            }
            StateWork::Query { operations } => {
                let results = operations.iter().map(|(_, operation)| self.query(operation));
                StateAnswer::Results { results: results.collect() }
            }
            StateWork::Restore { seq, state, parts } => {
                for (nth, part) in parts {
                    let leaves = self.cut().read(nth, &part).unwrap();
                    for (place, leaf) in self.cut().leaves_of(nth).zip(leaves) {
                        self.cells[place as usize] = Digest(leaf[..32].try_into().unwrap());
                    }
                }
                assert_eq!(self.root(), state, "a restored state is the certified one");
                self.kept.insert(seq, self.cells.clone());
                StateAnswer::Restored { seq, done: true }
            }
            StateWork::Rollback { to } => {
                let (before, cells) = self.before.take().expect("a tentative execution");
                assert_eq!(before, to, "what is undone was the last execution");
                self.cells = cells;
                return None;
            }
            StateWork::Retain { from, leased, .. } => {
                self.kept.retain(|seq, _| *seq >= from || Some(*seq) == leased);
                return None;
            }
        })
    }

    /// An operation that begins with `read` only reads: all cells.
    fn query(&self, operation: &[u8]) -> Option<Bytes> {
        let reads = operation.starts_with(b"read");
        reads.then(|| Bytes::copy_from_slice(&self.root().root.0))
    }

    /// What a disk has of it: the state at a kept checkpoint, and nothing else.
    pub(crate) fn restarted_at(&self, seq: Seq) -> Cells {
        let cells = self.kept[&seq].clone();
        let kept = BTreeMap::from([(seq, cells.clone())]);
        Cells { shape: self.shape, kept, cells, before: None }
    }
}
