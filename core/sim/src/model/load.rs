//! The clients of the model, all on one thread as those of a live run.

use core::mem;
use std::collections::VecDeque;

use bytes::Bytes;
use quorumark_consensus::pbft::Message;
use quorumark_consensus::request::{ClientProof, Reply, Request, RequestStatement, SignedRequest};
use quorumark_consensus::types::{ClientId, Timestamp};
use quorumark_primitives::signed::{Sealer, Signer, Verified, Verifier};
use quorumark_primitives::wire::Encode;

use super::Pace;
use super::costs::{Costs, Item};
use super::replica::Parcel;
use crate::world::Keys;

/// The most requests that leave together, as in a live run.
const FLUSH_MAX: usize = 256;

/// A request that waits for its result.
#[derive(Debug, Clone, Copy)]
struct Flight {
    intended: u64,
    replies: usize,
}

/// What a turn of the clients ends with.
#[derive(Debug)]
enum Doing {
    Nothing,
    Receives(Vec<Reply>),
    /// Requests by the region of their client.
    Sends(Vec<Parcel>),
}

/// All clients.
#[derive(Debug)]
pub(super) struct Load {
    pace: Pace,
    sealers: Vec<Sealer>,
    verifier: Verifier,
    operation: Bytes,
    regions: usize,
    /// Equal replies that make a result.
    needed: usize,
    inbox: VecDeque<Vec<Reply>>,
    doing: Doing,
    base: u64,
    flights: VecDeque<Option<Flight>>,
    waiting: usize,
    /// Arrivals so far, in an open loop.
    arrivals: u64,
    /// Response times of those that were accepted in the measured span.
    pub(super) times: Vec<u64>,
    /// Requests sent so far.
    pub(super) sent: u64,
    span: [u64; 2],
}

impl Load {
    pub(super) fn new(
        pace: Pace,
        keys: &Keys,
        clients: u32,
        payload: usize,
        regions: usize,
        needed: usize,
        span: [u64; 2],
    ) -> Load {
        Load {
            pace,
            sealers: (0..clients).map(|id| keys.sealer(Signer::Client(id))).collect(),
            verifier: keys.verifier(),
            operation: vec![0; payload].into(),
            regions,
            needed,
            inbox: VecDeque::new(),
            doing: Doing::Nothing,
            base: 0,
            flights: VecDeque::new(),
            waiting: 0,
            arrivals: 0,
            times: Vec::new(),
            sent: 0,
            span,
        }
    }

    pub(super) fn hear(&mut self, replies: Vec<Reply>) {
        self.inbox.push_back(replies);
    }

    /// When the next request is due without a reply; `None` in a closed loop.
    pub(super) fn next_arrival(&self) -> Option<u64> {
        match self.pace {
            Pace::Closed(_) => None,
            Pace::Open(rate) => Some((self.arrivals as f64 * 1e9 / rate) as u64),
        }
    }

    /// Takes a turn, if there is anything to do: how many nanoseconds it takes.
    pub(super) fn turn(&mut self, now: u64, costs: &Costs) -> Option<f64> {
        debug_assert!(matches!(self.doing, Doing::Nothing), "the last turn has ended");
        let replies: Vec<Reply> = self.inbox.drain(..).flatten().collect();
        if !replies.is_empty() {
            let ns = replies.len() as f64 * costs.ns(Item::LoadReply);
            self.doing = Doing::Receives(replies);
            return Some(ns);
        }
        let mut parcels = Vec::new();
        parcels.resize_with(self.regions, Parcel::default);
        let mut count = 0;
        while count < FLUSH_MAX
            && let Some(intended) = self.due(now)
        {
            let number = self.base + self.flights.len() as u64;
            self.flights.push_back(Some(Flight { intended, replies: 0 }));
            (self.waiting, self.arrivals) = (self.waiting + 1, self.arrivals + 1);
            let (client, request) = self.request(number);
            let parcel = &mut parcels[client as usize % self.regions];
            let mut bytes = Vec::new();
            request.get().encode(&mut bytes);
            parcel.bytes += bytes.len();
            parcel.messages.push(request);
            count += 1;
        }
        self.sent += count as u64;
        (count > 0).then(|| {
            self.doing = Doing::Sends(parcels);
            costs.ns(Item::LoadTurn) + count as f64 * costs.ns(Item::LoadRequest)
        })
    }

    fn due(&self, now: u64) -> Option<u64> {
        match self.pace {
            Pace::Closed(most) => (self.waiting < most).then_some(now),
            Pace::Open(_) => self.next_arrival().filter(|due| *due <= now),
        }
    }

    fn request(&mut self, number: u64) -> (u32, Verified<Message>) {
        let clients = self.sealers.len() as u64;
        let client = (number % clients) as u32;
        let request = Request {
            client: ClientId(client),
            timestamp: Timestamp(number / clients + 1),
            operation: self.operation.clone(),
        };
        let sealer = &mut self.sealers[client as usize];
        let signed = SignedRequest::prove(request, |digest| {
            ClientProof::Signature(
                sealer.sign(&RequestStatement { client: ClientId(client), digest }),
            )
        });
        let message = Message::Request(signed);
        let verified = self.verifier.verify_one(message);
        (client, verified.expect("a client's own signature verifies"))
    }

    /// The turn has ended: the requests that leave, by the region of their client.
    pub(super) fn end(&mut self, now: u64) -> Vec<Parcel> {
        match mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Nothing => Vec::new(),
            Doing::Sends(parcels) => parcels,
            Doing::Receives(replies) => {
                replies.iter().for_each(|reply| self.count(reply, now));
                Vec::new()
            }
        }
    }

    fn count(&mut self, reply: &Reply, now: u64) {
        let clients = self.sealers.len() as u64;
        let number = (reply.timestamp.0 - 1) * clients + u64::from(reply.client.0);
        let Some(place) = number.checked_sub(self.base) else { return };
        let Some(slot) = self.flights.get_mut(place as usize) else { return };
        let Some(flight) = slot else { return };
        flight.replies += 1;
        if flight.replies < self.needed {
            return;
        }
        let [start, end] = self.span;
        if (start..end).contains(&now) {
            self.times.push(now - flight.intended);
        }
        *slot = None;
        self.waiting -= 1;
        while self.flights.front().is_some_and(Option::is_none) {
            self.flights.pop_front();
            self.base += 1;
        }
    }
}
