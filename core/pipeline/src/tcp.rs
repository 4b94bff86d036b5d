//! TCP over loopback: connections made before the cluster runs, and the threads that move frames
//! between sockets and queues.
//!
//! A connection opens with a hello (who dials) and then carries frames, each behind its `u32`
//! length. The length is checked before anything is allocated; a peer that names a longer frame
//! than [`FRAME_BYTES_MAX`] loses its connection. Nagle is off; a writer coalesces what is queued.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, select};
use quorumark_primitives::wire::FRAME_BYTES_MAX;

use crate::link::{Frames, send};
use crate::metrics::{Counts, Stopwatch};

/// Bytes that a reader takes from the kernel at once, and a writer gathers.
const BUFFER_BYTES: usize = 256 << 10;
/// Frames that a reader hands on at once.
const FRAMES_MAX: usize = 256;
/// How long a connection may take to say who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the set-up of one connection may take in all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a listener looks whether somebody has dialled, before the cluster runs.
const ACCEPT_LOOK: Duration = Duration::from_millis(1);

const MAGIC: &[u8; 4] = b"QMK1";

/// Who dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hello {
    /// A replica.
    Replica(u16),
    /// The port with this number.
    Port(u32),
}

impl Hello {
    fn bytes(self) -> [u8; 9] {
        let (kind, id) = match self {
            Hello::Replica(id) => (0, u32::from(id)),
            Hello::Port(id) => (1, id),
        };
        let mut bytes = [0; 9];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4] = kind;
        bytes[5..].copy_from_slice(&id.to_le_bytes());
        bytes
    }

    fn read(bytes: [u8; 9]) -> Option<Hello> {
        let id = bytes.last_chunk().map(|id| u32::from_le_bytes(*id))?;
        let hello = match bytes[4] {
            0 => Hello::Replica(u16::try_from(id).ok()?),
            _ => Hello::Port(id),
        };
        (hello.bytes() == bytes).then_some(hello)
    }
}

/// A listener on a free loopback port.
pub(crate) fn listen() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}

/// Connects one dialer with a listener of this process; returns the dialing and the accepting end.
///
/// Whoever else connects meanwhile says another hello, and is closed.
pub(crate) fn connect(listener: &TcpListener, hello: Hello) -> io::Result<(TcpStream, TcpStream)> {
    let address: SocketAddr = listener.local_addr()?;
    let dialed = dial(address, hello)?;
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    loop {
        let (said, accepted) = accept(listener, deadline)?;
        if said == hello {
            return Ok((dialed, accepted));
        }
    }
}

/// Dials a listener, and says who it is.
pub(crate) fn dial(address: SocketAddr, hello: Hello) -> io::Result<TcpStream> {
    let mut dialed = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    dialed.set_nodelay(true)?;
    dialed.write_all(&hello.bytes())?;
    Ok(dialed)
}

/// The next connection whose dialer says who it is; others are closed.
pub(crate) fn accept(listener: &TcpListener, deadline: Instant) -> io::Result<(Hello, TcpStream)> {
    listener.set_nonblocking(true)?;
    while Instant::now() < deadline {
        let mut accepted = match listener.accept() {
            Ok((accepted, _)) => accepted,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(ACCEPT_LOOK);
                continue;
            }
            Err(error) => return Err(error),
        };
        accepted.set_nonblocking(false)?;
        accepted.set_read_timeout(Some(HELLO_TIMEOUT))?;
        let mut said = [0; 9];
        if accepted.read_exact(&mut said).is_ok()
            && let Some(hello) = Hello::read(said)
        {
            accepted.set_read_timeout(None)?;
            accepted.set_nodelay(true)?;
            return Ok((hello, accepted));
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "nobody who connected said the right hello"))
}

/// What a reader does when the queue that it feeds is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// Waits, so that the sender's socket fills: backpressure.
    Wait,
    /// Drops and counts: replies to a client that does not keep up.
    Drop,
}

/// Moves frames from a socket to a queue, until either end closes.
pub(crate) fn read(
    stream: TcpStream,
    queue: Sender<Frames>,
    when_full: WhenFull,
    watch: &mut Stopwatch,
) {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, stream);
    loop {
        let frames = match next_frames(&mut reader) {
            Ok(Some(frames)) => frames,
            Ok(None) => return,
            Err(error) => {
                let hostile = error.kind() == io::ErrorKind::InvalidData;
                Counts::add(&watch.counts().frames_oversized, u64::from(hostile));
                let _ = reader.get_ref().shutdown(Shutdown::Both);
                return;
            }
        };
        watch.waited();
        watch.took(queue.len());
        let items = frames.len();
        match when_full {
            WhenFull::Wait => {
                if send(&queue, frames, watch).is_err() {
                    return;
                }
            }
            WhenFull::Drop => {
                if queue.try_send(frames).is_err() {
                    Counts::add(&watch.counts().client_flushes_dropped, 1);
                }
            }
        }
        watch.worked(items);
    }
}

/// The next frame, and those behind it that are already here; `None` at the end of the stream.
fn next_frames(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Frames>> {
    if reader.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut frames = vec![next_frame(reader)?];
    while frames.len() < FRAMES_MAX && holds_a_frame(reader.buffer()) {
        frames.push(next_frame(reader)?);
    }
    Ok(Some(frames))
}

fn holds_a_frame(buffer: &[u8]) -> bool {
    buffer
        .first_chunk()
        .is_some_and(|length| buffer.len() - length.len() >= u32::from_le_bytes(*length) as usize)
}

fn next_frame(reader: &mut impl Read) -> io::Result<Bytes> {
    let mut length = [0; 4];
    reader.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        let text = format!("a frame of {length} bytes; at most {FRAME_BYTES_MAX} are taken");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut frame = vec![0; length];
    reader.read_exact(&mut frame)?;
    Ok(Bytes::from(frame))
}

/// Moves frames from a queue to a socket, until the queue closes, the socket fails, or one of
/// `stops` closes.
pub(crate) fn write(
    mut stream: TcpStream,
    queue: &Receiver<Frames>,
    stops: &[Receiver<()>; 2],
    watch: &mut Stopwatch,
) {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        let first = watch.look(|| queue.try_recv().ok()).or_else(|| {
            let next = select! {
                recv(queue) -> frames => frames.ok(),
                recv(stops[0]) -> _ => None,
                recv(stops[1]) -> _ => None,
            };
            watch.waited();
            next
        });
        let Some(first) = first else { break };
        watch.took(queue.len());
        let mut items = gather(first, &mut buffer);
        while buffer.len() < BUFFER_BYTES
            && let Ok(more) = queue.try_recv()
        {
            items += gather(more, &mut buffer);
        }
        let written = stream.write_all(&buffer);
        buffer.clear();
        buffer.shrink_to(2 * BUFFER_BYTES);
        watch.worked(items);
        if written.is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
}

fn gather(frames: Frames, buffer: &mut Vec<u8>) -> usize {
    for frame in &frames {
        debug_assert!(frame.len() <= FRAME_BYTES_MAX, "a frame of {} bytes", frame.len());
        buffer.extend_from_slice(&(frame.len() as u32).to_le_bytes());
        buffer.extend_from_slice(frame);
    }
    frames.len()
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::{bounded, never};

    use super::*;
    use crate::metrics::{Meter, StageKind, Work};

    fn watch() -> Stopwatch {
        Stopwatch::new(&[Meter::new("test".to_owned(), StageKind::Socket, Work::Replica(0))])
    }

    fn pair() -> (TcpStream, TcpStream) {
        connect(&listen().unwrap(), Hello::Replica(3)).unwrap()
    }

    #[test]
    fn frames_arrive_whole_and_in_order_whatever_the_kernel_splits() {
        let (dialed, accepted) = pair();
        let (queue, frames) = bounded::<Frames>(4);
        let (received, inbox) = bounded(4096);
        let sent: Vec<Bytes> = (0..300usize).map(|n| Bytes::from(vec![n as u8; n * 37])).collect();
        let writer =
            std::thread::spawn(move || write(dialed, &frames, &[never(), never()], &mut watch()));
        let reader = std::thread::spawn(move || {
            read(accepted, received, WhenFull::Wait, &mut watch());
        });
        for flush in sent.chunks(7) {
            queue.send(flush.to_vec()).unwrap();
        }
        drop(queue);
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(inbox.iter().flatten().collect::<Vec<_>>(), sent);
    }

    #[test]
    fn a_hostile_length_or_a_torn_frame_closes_the_connection_and_allocates_nothing() {
        for (bytes, hostile) in [(u32::MAX.to_le_bytes().to_vec(), 1), (vec![9, 0, 0, 0, 1], 0)] {
            let (mut dialed, accepted) = pair();
            let (received, inbox) = bounded(4);
            let mut watch = watch();
            dialed.write_all(&bytes).unwrap();
            dialed.shutdown(Shutdown::Write).unwrap();
            read(accepted, received, WhenFull::Wait, &mut watch);
            assert_eq!(watch.counts().snapshot().frames_oversized, hostile);
            assert!(inbox.try_recv().is_err());
        }
    }

    #[test]
    fn a_stranger_who_says_another_hello_is_passed_over() {
        let listener = listen().unwrap();
        let mut stranger = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stranger.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        let (mut dialed, mut accepted) = connect(&listener, Hello::Port(1)).unwrap();
        dialed.write_all(b"x").unwrap();
        let mut byte = [0];
        accepted.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
    }
}
