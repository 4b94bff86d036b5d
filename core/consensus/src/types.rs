//! Newtypes: no bare integer stands for a view, a sequence number or an identity.

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;

use quorumark_primitives::wire::{Decode, Encode, Reader, WireError};

macro_rules! newtype {
    ($(#[$doc:meta])* $name:ident($int:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                self.0.encode(out);
            }
        }

        impl Decode for $name {
            const SIZE_MIN: usize = size_of::<$int>();
            fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
                <$int>::decode(reader).map($name)
            }
        }
    };
}

newtype! {
    /// A replica's place in the committee, from 0.
    ReplicaId(u16), "r"
}
newtype! {
    /// A client's identity; its key stands in the key directory.
    ClientId(u32), "c"
}
newtype! {
    /// A view: the span of time in which one replica is the primary (PBFT 4.1).
    View(u64), "v"
}
newtype! {
    /// A sequence number; the first batch has 1, so that 0 is the state before any batch.
    Seq(u64), "s"
}
newtype! {
    /// A client's own request number; larger is later (PBFT 4.1).
    Timestamp(u64), "t"
}

impl Seq {
    /// The sequence number that follows; the last one follows itself.
    pub fn next(self) -> Seq {
        Seq(self.0.saturating_add(1))
    }

    /// The sequence number `count` further on; none is beyond the last.
    pub fn plus(self, count: u64) -> Seq {
        Seq(self.0.saturating_add(count))
    }
}

impl View {
    /// The view that follows; the last one follows itself.
    pub fn next(self) -> View {
        View(self.0.saturating_add(1))
    }
}

/// Nanoseconds since the start of the run. The driver supplies it; engines only compare and add.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Instant(pub u64);

impl Instant {
    /// The start of the run.
    pub const START: Instant = Instant(0);

    /// Time from `earlier` to `self`, zero when `earlier` is later.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, span: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Instant) -> Duration {
        self.since(earlier)
    }
}
