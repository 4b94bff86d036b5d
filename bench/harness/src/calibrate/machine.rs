//! What threads of this machine take to wake each other, and how they share a core.

use core::hint;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use core_affinity::CoreId;
use crossbeam_channel::{Receiver, Select, bounded, never};

use super::Figure;
use crate::clock;
use crate::pace::Pace;

/// Times that a thread is woken.
const WAKES: usize = 400;
/// How long a thread has to fall asleep.
const ASLEEP: Duration = Duration::from_micros(250);
/// Sleeps until a time.
const SLEEPS: usize = 400;
/// How long a thread sleeps until a time, as between two requests of a load.
const SLEEP: Duration = Duration::from_micros(150);
/// How long two threads are busy on one core.
const BUSY: Duration = Duration::from_millis(800);
/// A gap by which a busy thread tells that it was put off its core.
const GAP: Duration = Duration::from_micros(200);
/// Looks at the pace.
const LOOKS: usize = 20;

/// What waking a thread takes.
pub(super) struct Wakes {
    pub(super) call: Figure,
    pub(super) delay: Figure,
    pub(super) park: Figure,
}

/// Wakes a thread on `sleeper` from one on `waker`, many times, over the kind of queue that replicas
/// have.
pub(super) fn wakes(waker: CoreId, sleeper: CoreId) -> Wakes {
    let (queue, inbox) = bounded::<Instant>(64);
    let woken = thread::spawn(move || {
        core_affinity::set_for_current(sleeper);
        let before = clock::thread_cpu();
        let mut delays = Vec::with_capacity(WAKES);
        while wait(&inbox) {
            while let Ok(sent) = inbox.try_recv() {
                delays.push(sent.elapsed().as_nanos() as f64);
            }
        }
        let cpu = clock::thread_cpu().saturating_sub(before).as_nanos() as f64;
        (delays, cpu)
    });
    let calls = thread::spawn(move || {
        core_affinity::set_for_current(waker);
        let mut calls = Vec::with_capacity(WAKES);
        for _ in 0..WAKES {
            thread::sleep(ASLEEP);
            // The waker of a run has just done some work.
            spin(Duration::from_micros(30));
            let before = Instant::now();
            // A queue that is gone shows in fewer delays.
            let _ = queue.send(before);
            calls.push(before.elapsed().as_nanos() as f64);
        }
        calls
    });
    let calls = calls.join().unwrap_or_default();
    let (delays, cpu) = woken.join().unwrap_or_default();
    let call = Figure::mean(calls);
    let delay = Figure::mean(delays);
    // A model delivers at the end of the call.
    let after = Figure { value: (delay.value - call.value).max(0.0), ..delay };
    let park = Figure { value: cpu / WAKES as f64, spread: None };
    Wakes { call, delay: after, park }
}

/// Waits as a replica does, on three queues and a time; `false` when nobody sends any more.
fn wait(inbox: &Receiver<Instant>) -> bool {
    let (stop, other) = (never::<()>(), never::<()>());
    let mut select = Select::new();
    select.recv(&stop);
    select.recv(&other);
    let own = select.recv(inbox);
    match select.ready_timeout(Duration::from_secs(10)) {
        Ok(ready) => ready == own && !closed(inbox),
        Err(_) => false,
    }
}

fn closed(inbox: &Receiver<Instant>) -> bool {
    // Ready and empty: the sender is gone.
    inbox.is_empty()
}

fn spin(span: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < span {
        hint::spin_loop();
    }
}

/// How late a thread wakes that sleeps until a time.
pub(super) fn timer_late() -> Figure {
    let (_queue, inbox) = bounded::<()>(1);
    let late = (0..SLEEPS).map(|_| {
        let due = Instant::now() + SLEEP;
        let _ = inbox.recv_timeout(SLEEP);
        due.elapsed().as_nanos() as f64
    });
    Figure::mean(late.collect())
}

/// After how long two busy threads of one core change places.
pub(super) fn tick(core: CoreId) -> Figure {
    let busy = || {
        thread::spawn(move || {
            core_affinity::set_for_current(core);
            let begun = Instant::now();
            let (mut resumed, mut last) = (begun, begun);
            let mut runs = Vec::new();
            while begun.elapsed() < BUSY {
                let now = Instant::now();
                if now - last > GAP {
                    runs.push((last - resumed).as_nanos() as f64);
                    resumed = now;
                }
                last = now;
            }
            runs
        })
    };
    let threads = [busy(), busy()];
    let runs = threads.map(|thread| thread.join().unwrap_or_default());
    Figure::median(runs.concat())
}

/// One look at the pace.
pub(super) fn pace_look(seed: u64) -> Figure {
    let mut pace = Pace::new(seed);
    let looks = (0..LOOKS).map(|_| {
        let begun = Instant::now();
        let _ = pace.look();
        begun.elapsed().as_nanos() as f64
    });
    Figure::median(looks.collect())
}

/// Flushes of each size that go over a socket.
const FLUSHES: usize = 400;
/// Between two flushes: time for the reader to fall asleep, as most do in a run.
const APART: Duration = Duration::from_micros(50);
/// A vote, and a batch of large requests.
const SIZES: [usize; 2] = [150, 64 << 10];

/// What a flush costs its writer and its reader over TCP on loopback: each, and each byte.
pub(super) struct Sockets {
    pub(super) send: f64,
    pub(super) send_byte: f64,
    pub(super) receive: f64,
    pub(super) receive_byte: f64,
}

/// Times flushes of two sizes from one core to another.
///
/// # Errors
/// When the system has no socket.
pub(super) fn sockets(from: CoreId, to: CoreId) -> io::Result<Sockets> {
    let [small, large] = [carry(from, to, SIZES[0])?, carry(from, to, SIZES[1])?];
    let bytes = (SIZES[1] - SIZES[0]) as f64;
    let line = |small: f64, large: f64| {
        let byte = ((large - small) / bytes).max(0.0);
        ((small - byte * SIZES[0] as f64).max(0.0), byte)
    };
    let (send, send_byte) = line(small.0, large.0);
    let (receive, receive_byte) = line(small.1, large.1);
    Ok(Sockets { send, send_byte, receive, receive_byte })
}

/// CPU nanoseconds of the writer and of the reader for a flush of `bytes`.
fn carry(from: CoreId, to: CoreId, bytes: usize) -> io::Result<(f64, f64)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut writer = TcpStream::connect(listener.local_addr()?)?;
    writer.set_nodelay(true)?;
    let (reader, _) = listener.accept()?;
    let reads = thread::spawn(move || {
        core_affinity::set_for_current(to);
        let mut reader = BufReader::with_capacity(64 << 10, reader);
        let mut frame = vec![0; bytes];
        let before = clock::thread_cpu();
        let mut read = 0;
        while reader.read_exact(&mut frame).is_ok() {
            hint::black_box(&frame);
            read += 1;
        }
        (clock::thread_cpu().saturating_sub(before).as_nanos() as f64, read)
    });
    let writes = thread::spawn(move || {
        core_affinity::set_for_current(from);
        let frame = vec![7; bytes];
        let before = clock::thread_cpu();
        for _ in 0..FLUSHES {
            writer.write_all(&frame)?;
            thread::sleep(APART);
        }
        Ok::<_, io::Error>(clock::thread_cpu().saturating_sub(before).as_nanos() as f64)
    });
    let lost = || io::Error::other("a thread of the calibration ended early");
    let written = writes.join().map_err(|_| lost())??;
    let (taken, read) = reads.join().map_err(|_| lost())?;
    if read != FLUSHES {
        return Err(lost());
    }
    Ok((written / FLUSHES as f64, taken / FLUSHES as f64))
}

/// Keeps the other cores busy while something is measured.
pub(super) fn beside_busy<T>(cores: &[CoreId], work: impl FnOnce() -> T) -> T {
    let (ended, spun) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for core in cores {
            scope.spawn(|| {
                core_affinity::set_for_current(*core);
                while !ended.load(Ordering::Relaxed) {
                    spun.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let answer = work();
        ended.store(true, Ordering::Relaxed);
        answer
    })
}
