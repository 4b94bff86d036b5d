//! Fields of messages by name, and what a mutation does to them.

use std::sync::Arc;

use quorumark_consensus::pbft::{Message, NewView, ViewChange, ViewChangeBody, Voucher};
use quorumark_consensus::request::{Batch, RequestView};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::Signature;

use crate::random::Random;
use crate::scenario::Operation;

/// What is done to a field.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) operation: Operation,
    /// What `set` sets.
    pub(super) value: u64,
    /// An earlier message of the same kind.
    pub(super) older: Option<&'a Message>,
}

/// Changes the field of a message that `path` names; tells whether it did.
pub(super) fn change(
    message: &mut Message,
    path: &str,
    change: &Change<'_>,
    random: &mut Random,
) -> bool {
    if let (Operation::ReplayOlder, Some(older)) = (change.operation, change.older) {
        return replay(message, path, older);
    }
    let mut visitor = Visitor { path, change, random, changed: false };
    visit(message, &mut visitor);
    visitor.changed
}

/// The fields that a message has.
pub(super) fn names(message: &Message) -> Vec<String> {
    let mut message = message.clone();
    let mut lister = Lister(Vec::new());
    visit(&mut message, &mut lister);
    lister.0
}

/// Something that is shown every field of a message.
trait Fields {
    fn number(&mut self, name: &str, value: &mut u64);
    fn digest(&mut self, name: &str, value: &mut Digest);
    fn signature(&mut self, name: &str, value: &mut Signature);
    fn batch(&mut self, name: &str, value: &mut Arc<Batch>);
    /// Whether an element of a list of `length` is taken out or put twice, and which.
    fn element(&mut self, name: &str, length: usize) -> Option<(usize, Operation)>;
}

/// Shows every field of a message, by name.
fn visit(message: &mut Message, fields: &mut dyn Fields) {
    match message {
        Message::Request(_) | Message::Read(_) => {}
        Message::PrePrepare(signed, batch) => {
            fields.number("view", &mut signed.body.view.0);
            fields.number("seq", &mut signed.body.seq.0);
            fields.digest("digest", &mut signed.body.digest);
            small(fields, "replica", &mut signed.body.replica.0);
            fields.signature("signature", &mut signed.signature);
            fields.batch("batch", batch);
        }
        Message::Prepare(signed) => {
            fields.number("view", &mut signed.body.view.0);
            fields.number("seq", &mut signed.body.seq.0);
            fields.digest("digest", &mut signed.body.digest);
            small(fields, "replica", &mut signed.body.replica.0);
            fields.signature("signature", &mut signed.signature);
        }
        Message::Commit(signed) => {
            fields.number("view", &mut signed.body.view.0);
            fields.number("seq", &mut signed.body.seq.0);
            fields.digest("digest", &mut signed.body.digest);
            small(fields, "replica", &mut signed.body.replica.0);
            fields.signature("signature", &mut signed.signature);
        }
        Message::Checkpoint(signed) => {
            fields.number("seq", &mut signed.body.seq.0);
            fields.digest("state", &mut signed.body.state);
            small(fields, "replica", &mut signed.body.replica.0);
            fields.signature("signature", &mut signed.signature);
        }
        Message::Status(signed) => {
            fields.number("round", &mut signed.body.round);
            fields.number("view", &mut signed.body.view.0);
            fields.number("stable", &mut signed.body.stable.0);
            fields.number("executed", &mut signed.body.executed.0);
            small(fields, "replica", &mut signed.body.replica.0);
            fields.signature("signature", &mut signed.signature);
        }
        _ => visit_recovery(message, fields),
    }
}

/// The messages of the view change, and what repairs it.
fn visit_recovery(message: &mut Message, fields: &mut dyn Fields) {
    match message {
        Message::ViewChange(view_change) => {
            let mut body = view_change.body().clone();
            visit_view_change(&mut body, "", fields);
            if body != *view_change.body() {
                *view_change = Arc::new(ViewChange::blank(body));
            }
        }
        Message::NewView(new_view) => {
            let mut body = new_view.body().clone();
            fields.number("view", &mut body.view.0);
            small(fields, "replica", &mut body.replica.0);
            list(fields, "view_changes", &mut body.view_changes, |fields, name, item| {
                let mut inner = item.body().clone();
                visit_view_change(&mut inner, &format!("{name}."), fields);
                if inner != *item.body() {
                    *item = ViewChange::blank(inner);
                }
            });
            list(fields, "pre_prepares", &mut body.pre_prepares, |fields, name, item| {
                fields.number(&format!("{name}.view"), &mut item.body.view.0);
                fields.number(&format!("{name}.seq"), &mut item.body.seq.0);
                fields.digest(&format!("{name}.digest"), &mut item.body.digest);
            });
            if body != *new_view.body() {
                *new_view = Arc::new(NewView::blank(body));
            }
        }
        Message::Fetch(signed) => {
            fields.number("round", &mut signed.body.round);
            list(fields, "digests", &mut signed.body.digests, |fields, name, digest| {
                fields.digest(name, digest);
            });
            small(fields, "replica", &mut signed.body.replica.0);
            fields.signature("signature", &mut signed.signature);
        }
        Message::FetchState(signed) => {
            fields.number("round", &mut signed.body.round);
            fields.number("seq", &mut signed.body.seq.0);
            small(fields, "peer", &mut signed.body.peer.0);
            small(fields, "replica", &mut signed.body.replica.0);
            fields.signature("signature", &mut signed.signature);
        }
        Message::Body(batch) => fields.batch("batch", batch),
        Message::Committed(certificate, batch) => {
            let mut changed = certificate.as_ref().clone();
            fields.number("view", &mut changed.view.0);
            fields.number("seq", &mut changed.seq.0);
            fields.digest("digest", &mut changed.digest);
            list(fields, "commits", &mut changed.commits, voucher);
            if changed != **certificate {
                *certificate = Arc::new(changed);
            }
            fields.batch("batch", batch);
        }
        _ => {}
    }
}

fn visit_view_change(body: &mut ViewChangeBody, prefix: &str, fields: &mut dyn Fields) {
    let name = |field: &str| format!("{prefix}{field}");
    fields.number(&name("view"), &mut body.view.0);
    fields.number(&name("checkpoint.seq"), &mut body.checkpoint.seq.0);
    fields.digest(&name("checkpoint.state"), &mut body.checkpoint.state);
    list(fields, &name("checkpoint.votes"), &mut body.checkpoint.votes, voucher);
    list(fields, &name("prepared"), &mut body.prepared, |fields, name, proof| {
        let proposal = &mut proof.pre_prepare;
        fields.number(&format!("{name}.view"), &mut proposal.body.view.0);
        fields.number(&format!("{name}.seq"), &mut proposal.body.seq.0);
        fields.digest(&format!("{name}.digest"), &mut proposal.body.digest);
        fields.signature(&format!("{name}.signature"), &mut proposal.signature);
        list(fields, &format!("{name}.prepares"), &mut proof.prepares, voucher);
    });
    small(fields, &name("replica"), &mut body.replica.0);
}

fn voucher(fields: &mut dyn Fields, name: &str, voucher: &mut Voucher) {
    small(fields, &format!("{name}.replica"), &mut voucher.replica.0);
    fields.signature(&format!("{name}.signature"), &mut voucher.signature);
}

/// Shows every element of a list, and the list itself.
fn list<T: Clone>(
    fields: &mut dyn Fields,
    name: &str,
    items: &mut Vec<T>,
    each: impl Fn(&mut dyn Fields, &str, &mut T),
) {
    for (nth, item) in items.iter_mut().enumerate() {
        each(fields, &format!("{name}[{nth}]"), item);
    }
    match fields.element(name, items.len()) {
        Some((nth, Operation::Remove)) if nth < items.len() => drop(items.remove(nth)),
        Some((nth, Operation::Duplicate)) => {
            if let Some(item) = items.get(nth).cloned() {
                items.insert(nth, item);
            }
        }
        _ => {}
    }
}

/// Shows a field of sixteen bits as a number.
fn small(fields: &mut dyn Fields, name: &str, value: &mut u16) {
    let mut wide = u64::from(*value);
    fields.number(name, &mut wide);
    *value = wide as u16;
}

/// Puts what an older message had in a field's place.
fn replay(message: &mut Message, path: &str, older: &Message) -> bool {
    let mut older = older.clone();
    let mut reader = Reader { path, found: None };
    visit(&mut older, &mut reader);
    let Some(found) = reader.found else { return false };
    let mut writer = Writer { path, found, changed: false };
    visit(message, &mut writer);
    writer.changed
}

struct Visitor<'a> {
    path: &'a str,
    change: &'a Change<'a>,
    random: &'a mut Random,
    changed: bool,
}

impl Fields for Visitor<'_> {
    fn number(&mut self, name: &str, value: &mut u64) {
        if name != self.path {
            return;
        }
        let changed = match self.change.operation {
            Operation::Increment => value.wrapping_add(1),
            Operation::Decrement => value.wrapping_sub(1),
            Operation::Set => self.change.value,
            Operation::FlipBit => *value ^ (1 << self.random.below(64)),
            Operation::Remove => 0,
            Operation::Duplicate | Operation::ReplayOlder => return,
        };
        self.changed = changed != *value;
        *value = changed;
    }

    fn digest(&mut self, name: &str, value: &mut Digest) {
        if name == self.path {
            self.changed = self.bytes(&mut value.0);
        }
    }

    fn signature(&mut self, name: &str, value: &mut Signature) {
        if name == self.path {
            self.changed = self.bytes(&mut value.0);
        }
    }

    fn batch(&mut self, name: &str, value: &mut Arc<Batch>) {
        if name != self.path {
            return;
        }
        let mut requests: Vec<_> = value.requests().map(RequestView::apart).collect();
        match (self.change.operation, requests.last().cloned()) {
            (Operation::Remove, Some(_)) => drop(requests.pop()),
            (Operation::Duplicate, Some(last)) => requests.push(last),
            (Operation::FlipBit, Some(_)) => requests.reverse(),
            _ => return,
        }
        self.changed = true;
        *value = Arc::new(Batch::new(requests));
    }

    fn element(&mut self, name: &str, length: usize) -> Option<(usize, Operation)> {
        let operation = self.change.operation;
        let place = self.path.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
        let nth = place.parse().ok().filter(|nth| *nth < length)?;
        if !matches!(operation, Operation::Remove | Operation::Duplicate) {
            return None;
        }
        self.changed = true;
        Some((nth, operation))
    }
}

impl Visitor<'_> {
    fn bytes(&mut self, bytes: &mut [u8]) -> bool {
        let before = bytes.to_vec();
        match self.change.operation {
            Operation::Remove => bytes.fill(0),
            Operation::Set => bytes.fill(self.change.value as u8),
            Operation::Duplicate | Operation::ReplayOlder => {}
            Operation::Increment | Operation::Decrement | Operation::FlipBit => {
                let bit = self.random.below(8 * bytes.len() as u64) as usize;
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
        before != bytes
    }
}

struct Lister(Vec<String>);

impl Fields for Lister {
    fn number(&mut self, name: &str, _: &mut u64) {
        self.0.push(name.to_owned());
    }
    fn digest(&mut self, name: &str, _: &mut Digest) {
        self.0.push(name.to_owned());
    }
    fn signature(&mut self, name: &str, _: &mut Signature) {
        self.0.push(name.to_owned());
    }
    fn batch(&mut self, name: &str, _: &mut Arc<Batch>) {
        self.0.push(name.to_owned());
    }
    fn element(&mut self, name: &str, length: usize) -> Option<(usize, Operation)> {
        self.0.extend((0..length).map(|nth| format!("{name}[{nth}]")));
        None
    }
}

/// The value of a field.
enum Found {
    Number(u64),
    Digest(Digest),
    Signature(Signature),
    Batch(Arc<Batch>),
}

struct Reader<'a> {
    path: &'a str,
    found: Option<Found>,
}

impl Fields for Reader<'_> {
    fn number(&mut self, name: &str, value: &mut u64) {
        if name == self.path {
            self.found = Some(Found::Number(*value));
        }
    }
    fn digest(&mut self, name: &str, value: &mut Digest) {
        if name == self.path {
            self.found = Some(Found::Digest(*value));
        }
    }
    fn signature(&mut self, name: &str, value: &mut Signature) {
        if name == self.path {
            self.found = Some(Found::Signature(*value));
        }
    }
    fn batch(&mut self, name: &str, value: &mut Arc<Batch>) {
        if name == self.path {
            self.found = Some(Found::Batch(Arc::clone(value)));
        }
    }
    fn element(&mut self, _: &str, _: usize) -> Option<(usize, Operation)> {
        None
    }
}

struct Writer<'a> {
    path: &'a str,
    found: Found,
    changed: bool,
}

impl Fields for Writer<'_> {
    fn number(&mut self, name: &str, value: &mut u64) {
        if let (true, Found::Number(found)) = (name == self.path, &self.found) {
            self.changed = *value != *found;
            *value = *found;
        }
    }
    fn digest(&mut self, name: &str, value: &mut Digest) {
        if let (true, Found::Digest(found)) = (name == self.path, &self.found) {
            self.changed = *value != *found;
            *value = *found;
        }
    }
    fn signature(&mut self, name: &str, value: &mut Signature) {
        if let (true, Found::Signature(found)) = (name == self.path, &self.found) {
            self.changed = *value != *found;
            *value = *found;
        }
    }
    fn batch(&mut self, name: &str, value: &mut Arc<Batch>) {
        if let (true, Found::Batch(found)) = (name == self.path, &self.found) {
            self.changed = value.digest() != found.digest();
            *value = Arc::clone(found);
        }
    }
    fn element(&mut self, _: &str, _: usize) -> Option<(usize, Operation)> {
        None
    }
}
