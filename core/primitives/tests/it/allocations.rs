//! Signing and verifying allocate nothing once their buffers have grown.

#![allow(unsafe_code)] // an allocator that counts

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use quorumark_primitives::ed25519::{
    Backend, BatchVerifier, PublicKey, SecretKey, Signature, TABLE_BATCHES, VerifyMethod,
};

/// The system's allocator, which counts the calls of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends may allocate after its counter is gone.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call goes to the system's allocator as it came; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and `block` is the system's.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `realloc`, and `block` is the system's.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// 32 signatures by 4 signers, one of them spoiled.
fn signed() -> Vec<(PublicKey, [u8; 8], Signature)> {
    let secrets: Vec<SecretKey> = (1..5).map(|i| SecretKey::from_seed(&[i; 32])).collect();
    let sign = |i: usize| {
        let (secret, message) = (&secrets[i % 4], (i as u64).to_le_bytes());
        let mut signature = secret.sign(&message);
        signature.0[0] ^= u8::from(i == 9);
        (secret.public(), message, signature)
    };
    (0..32).map(sign).collect()
}

#[test]
fn verification_allocates_nothing_once_its_buffers_have_grown() {
    let signed = signed();
    for backend in Backend::available() {
        for method in [VerifyMethod::Auto, VerifyMethod::Equation, VerifyMethod::Single] {
            let mut verifier =
                BatchVerifier::new([1; 32]).with_backend(backend).with_method(method);
            let mut verdicts = Vec::new();
            let mut verify = |size: usize| {
                for (key, message, signature) in &signed[..size] {
                    verifier.queue(key, &[message], signature);
                }
                verifier.verify(&mut verdicts);
                assert!((0..size).all(|i| verdicts[i] == (i != 9)));
            };
            (0..=TABLE_BATCHES).for_each(|_| verify(32));
            let before = allocations();
            [1, 7, 16, 32].into_iter().for_each(&mut verify);
            assert_eq!(allocations() - before, 0, "{backend} {method:?}");
        }
    }
}

#[test]
fn signing_allocates_nothing() {
    let secret = SecretKey::from_seed(&[1; 32]);
    let first = secret.sign(b"message");
    let before = allocations();
    let second = secret.sign(b"message");
    assert_eq!(allocations() - before, 0);
    assert_eq!(first, second);
}
