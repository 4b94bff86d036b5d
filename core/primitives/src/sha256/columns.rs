//! SHA-256 in columns: a register holds the same word of several messages.
//!
//! Every operation of FIPS 180-4 is then one of registers, whatever their width. What follows are macros
//! because a function is compiled for one set of instructions, named where it is written.

/// Sixteen rounds from `$start` on, as far as they are wanted. All are written out: in a loop, places in
/// the ring are computed, and words of the state moved on.
macro_rules! sixteen {
    ($start:literal, $first:ident, $end:ident, $w:ident, $state:ident) => {
        sixteen!($start, $first, $end, $w, $state: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    ($start:literal, $first:ident, $end:ident, $w:ident, $state:ident: $($i:literal)*) => {$(
        if ($start + $i) >= $first && ($start + $i) < $end {
            if $start > 0 {
                extend(&mut $w, $i);
            }
            $state = round($state, $w[$i].plus(Words::all(ROUND[$start + $i])));
        }
    )*};
}

/// The `n`th of a few; the lanes beyond the last repeat it, and nobody reads what they give.
pub(super) fn fill<T>(few: &[T], n: usize) -> &T {
    &few[n.min(few.len() - 1)]
}

/// The functions of SHA-256 over a type `Words`, which has `all`, `plus`, `xor3`, `choice`, `majority`,
/// `shift_right` and `rotate_right`. Beside it `array`, `sixteen` and the constants are to be in scope.
macro_rules! columns {
    ($features:literal) => {
        /// The words `a` to `h` of the lanes' states.
        pub(super) type State = [Words; 8];

        /// Sixteen words of the lanes' message schedules, as a ring.
        pub(super) type Schedule = [Words; 16];

        /// One round; `wk` is the schedule's word plus the round's constant (FIPS 180-4 6.2.2).
        #[target_feature(enable = $features)]
        #[inline]
        pub(super) fn round([a, b, c, d, e, f, g, h]: State, wk: Words) -> State {
            let sum1 = Words::xor3(
                e.rotate_right::<6, 26>(),
                e.rotate_right::<11, 21>(),
                e.rotate_right::<25, 7>(),
            );
            let t1 = h.plus(wk).plus(Words::choice(e, f, g)).plus(sum1);
            let sum0 = Words::xor3(
                a.rotate_right::<2, 30>(),
                a.rotate_right::<13, 19>(),
                a.rotate_right::<22, 10>(),
            );
            [t1.plus(sum0.plus(Words::majority(a, b, c))), a, b, c, d.plus(t1), e, f, g]
        }

        /// Replaces the word `i` of the ring, the oldest, by the schedule's next.
        #[target_feature(enable = $features)]
        #[inline]
        pub(super) fn extend(w: &mut Schedule, i: usize) {
            let (w1, w14) = (w[(i + 1) % 16], w[(i + 14) % 16]);
            let sigma0 = Words::xor3(
                w1.rotate_right::<7, 25>(),
                w1.rotate_right::<18, 14>(),
                w1.shift_right::<3>(),
            );
            let sigma1 = Words::xor3(
                w14.rotate_right::<17, 15>(),
                w14.rotate_right::<19, 13>(),
                w14.shift_right::<10>(),
            );
            w[i] = w[i].plus(sigma0).plus(w[(i + 9) % 16].plus(sigma1));
        }

        /// The rounds `FIRST` to `END - 1` of one block, without the final addition of the state.
        #[target_feature(enable = $features)]
        #[inline]
        pub(super) fn rounds<const FIRST: usize, const END: usize>(
            mut state: State,
            mut w: Schedule,
        ) -> State {
            sixteen!(0, FIRST, END, w, state);
            sixteen!(16, FIRST, END, w, state);
            sixteen!(32, FIRST, END, w, state);
            sixteen!(48, FIRST, END, w, state);
            state
        }

        /// The compression function over a block of each lane.
        #[target_feature(enable = $features)]
        pub(super) fn compress(state: State, w: Schedule) -> State {
            add(state, rounds::<0, 64>(state, w))
        }

        /// The compression function over the block that ends every 64-byte message.
        #[target_feature(enable = $features)]
        pub(super) fn padded_64(state: State) -> State {
            let mut after = state;
            for wk in ROUND_PADDING_64 {
                after = round(after, Words::all(wk));
            }
            add(state, after)
        }

        /// The block of the digests that `state` stands for, to be hashed again.
        #[target_feature(enable = $features)]
        #[inline]
        pub(super) fn block_of(state: State) -> Schedule {
            let mut w = [Words::all(0); 16];
            w[..8].copy_from_slice(&state);
            for (word, padding) in w[8..].iter_mut().zip(PADDING_32) {
                *word = Words::all(padding);
            }
            w
        }

        /// SHA-256 of the digests that `state` stands for.
        #[target_feature(enable = $features)]
        #[inline]
        pub(super) fn again(state: State) -> State {
            compress(initial(), block_of(state))
        }

        /// The states before the first block.
        #[target_feature(enable = $features)]
        #[inline]
        pub(super) fn initial() -> State {
            broadcast(&INITIAL)
        }

        /// The same state in every lane.
        #[target_feature(enable = $features)]
        #[inline]
        pub(super) fn broadcast(state: &[u32; 8]) -> State {
            array::from_fn(|i| Words::all(state[i]))
        }

        #[target_feature(enable = $features)]
        #[inline]
        pub(super) fn add(x: State, y: State) -> State {
            array::from_fn(|i| x[i].plus(y[i]))
        }
    };
}

/// The proof-of-work scan, one nonce of a header to each lane, over what [`columns`] makes in a module
/// `lanes`, whose `Words` have `of`, `list` and `swap_bytes` too.
macro_rules! scan {
    ($features:literal) => {
        use core::array;

        use super::super::Scan;
        use super::super::constants::{INITIAL, ROUND};
        use super::super::portable;
        use super::lanes::{
            LANES, Schedule, State, Words, add, block_of, broadcast, initial, rounds,
        };

        /// Appends the nonces of the range whose hash has a small enough top word.
        #[target_feature(enable = $features)]
        pub(super) fn scan(
            scan: &Scan,
            first_nonce: u32,
            count: u64,
            top_word_max: u32,
            hits: &mut Vec<u32>,
        ) {
            let header = Header::new(scan);
            for offset in (0..count).step_by(LANES) {
                let nonce = first_nonce.wrapping_add(offset as u32);
                let words = top_words(&header, nonce);
                for (n, word) in words.into_iter().enumerate() {
                    // The last group may reach beyond the range.
                    if word <= top_word_max && offset + (n as u64) < count {
                        hits.push(nonce.wrapping_add(n as u32));
                    }
                }
            }
        }

        /// What all nonces of a header share.
        struct Header {
            midstate: State,
            /// The state after the rounds 0 to 2, which the nonce does not reach.
            after3: State,
            /// The last block with nonce zero; the nonce is word 3.
            block: Schedule,
        }

        impl Header {
            #[target_feature(enable = $features)]
            fn new(scan: &Scan) -> Header {
                let block = scan.last_block();
                let after =
                    |state, i: usize| portable::round(state, block[i].wrapping_add(ROUND[i]));
                let after3 = (0..3).fold(scan.midstate, after);
                Header {
                    midstate: broadcast(&scan.midstate),
                    after3: broadcast(&after3),
                    block: array::from_fn(|i| Words::all(block[i])),
                }
            }
        }

        /// The most significant words of the double hashes of `LANES` nonces, from `nonce` on.
        #[target_feature(enable = $features)]
        #[inline]
        fn top_words(header: &Header, nonce: u32) -> [u32; LANES] {
            let nonces: [u32; LANES] = array::from_fn(|n| nonce.wrapping_add(n as u32));
            let mut w = header.block;
            w[3] = Words::of(&nonces).swap_bytes();
            let first = add(header.midstate, rounds::<3, 64>(header.after3, w));
            // The digest's last word is what `e` is after round 60: the last three rounds only move it.
            let [_, _, _, _, e, ..] = rounds::<0, 61>(initial(), block_of(first));
            e.plus(Words::all(INITIAL[7])).swap_bytes().list()
        }
    };
}

pub(super) use {columns, scan, sixteen};
