//! Which client sends what: everything about request number `i`, as a function of the seed.
//!
//! Numbers run round robin over the clients: number `i` is request `i / clients` of client
//! `i mod clients`, under timestamp `i / clients + 1`. The generator and the oracle read the same
//! plan, so that the oracle knows what may be executed without a copy of what was sent.

use std::sync::Arc;

use bytes::Bytes;
use quorumark_consensus::types::{ClientId, Timestamp};

use super::{NUMBERS_MAX, Workload};

/// Shares of requests that are special.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shares {
    /// Requests whose proof is spoilt on purpose, of all that are sent.
    pub invalid: f64,
    /// Valid requests that are sent a second time once they were answered.
    pub sent_twice: f64,
}

/// The requests of one trial.
#[derive(Debug, Clone)]
pub struct Plan {
    workload: Arc<Workload>,
    clients: u32,
    seed: u64,
    shares: Shares,
}

/// What makes a request special.
const INVALID: u64 = 1;
const SENT_TWICE: u64 = 2;

impl Plan {
    /// A plan for clients `0..clients`.
    ///
    /// # Panics
    /// When there are no clients.
    pub fn new(workload: Arc<Workload>, clients: u32, seed: u64, shares: Shares) -> Plan {
        assert!(clients > 0, "requests come from clients");
        Plan { workload, clients, seed, shares }
    }

    /// How many clients there are.
    pub fn clients(&self) -> u32 {
        self.clients
    }

    /// The workload.
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// Who sends request `number`.
    #[inline]
    pub fn client(&self, number: u64) -> ClientId {
        ClientId((number % u64::from(self.clients)) as u32)
    }

    /// Under which timestamp.
    #[inline]
    pub fn timestamp(&self, number: u64) -> Timestamp {
        Timestamp(number / u64::from(self.clients) + 1)
    }

    /// The number of a request; `None` when the plan has no such request.
    #[inline]
    pub fn number(&self, client: ClientId, timestamp: Timestamp) -> Option<u64> {
        let turn = timestamp.0.checked_sub(1)?;
        let number = turn.checked_mul(self.clients.into())?.checked_add(client.0.into())?;
        (client.0 < self.clients && number < NUMBERS_MAX).then_some(number)
    }

    /// What it asks for.
    #[inline]
    pub fn operation(&self, number: u64) -> &Bytes {
        self.workload.operation(number)
    }

    /// Whether it only reads: replicas can answer it without ordering it.
    #[inline]
    pub fn only_reads(&self, number: u64) -> bool {
        self.workload.only_reads(number)
    }

    /// Whether its proof is spoilt.
    #[inline]
    pub fn is_invalid(&self, number: u64) -> bool {
        self.happens(number, INVALID, self.shares.invalid)
    }

    /// Whether it is sent twice.
    #[inline]
    pub fn is_sent_twice(&self, number: u64) -> bool {
        self.happens(number, SENT_TWICE, self.shares.sent_twice)
    }

    fn happens(&self, number: u64, what: u64, share: f64) -> bool {
        // Most runs have neither, and this is asked for every request.
        share > 0.0 && {
            let draw = mix(mix(self.seed ^ what) ^ number) >> 11;
            (draw as f64) < share * (1u64 << 53) as f64
        }
    }
}

/// The finalizer of `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(clients: u32, shares: Shares) -> Plan {
        let workload = Workload::named("fixed", 16, 1).unwrap();
        Plan::new(Arc::new(workload), clients, 9, shares)
    }

    #[test]
    fn a_number_is_told_by_its_client_and_timestamp() {
        for clients in [1, 3, 100] {
            let plan = plan(clients, Shares::default());
            for number in 0..1000 {
                let (client, timestamp) = (plan.client(number), plan.timestamp(number));
                assert_eq!(plan.number(client, timestamp), Some(number));
            }
            assert_eq!(plan.number(ClientId(clients), Timestamp(1)), None);
            assert_eq!(plan.number(ClientId(0), Timestamp(0)), None);
            assert_eq!(plan.number(ClientId(0), Timestamp(u64::MAX)), None);
        }
    }

    #[test]
    fn special_requests_have_their_share_and_each_its_own() {
        let plan = plan(4, Shares { invalid: 0.01, sent_twice: 0.2 });
        let invalid = (0..100_000).filter(|i| plan.is_invalid(*i)).count();
        let twice = (0..100_000).filter(|i| plan.is_sent_twice(*i)).count();
        let both = (0..100_000).filter(|i| plan.is_invalid(*i) && plan.is_sent_twice(*i)).count();
        assert!((900..1100).contains(&invalid), "{invalid}");
        assert!((19_500..20_500).contains(&twice), "{twice}");
        assert!((130..270).contains(&both), "{both} of about 200 when they are independent");
    }
}
