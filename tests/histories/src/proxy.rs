//! A network that fails: [`Proxy`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Listens on a port of its own, and passes everything on to the socket of a server.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: Arc<Network>,
}

/// What happens to bytes on their way.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each can happen with each other"
)]
struct Way {
    server: PathBuf,
    /// Bytes that go to the client wait until this is `false`.
    holds_answers: bool,
    /// Bytes that go to the client are dropped.
    swallows_answers: bool,
    /// Nothing passes in either direction.
    is_cut_off: bool,
    delay: Duration,
    /// How many bytes of answers may still pass before all connections are cut.
    answers_left: Option<u64>,
    /// How many bytes of requests may still pass before all connections are cut.
    requests_left: Option<u64>,
    /// How many bytes of answers may still pass before all connections are silent for ever.
    heard_left: Option<u64>,
    /// How many bytes of requests may still pass before that.
    said_left: Option<u64>,
    /// New connections are silent too.
    is_silent: bool,
    connections: Vec<Connection>,
    /// How many times connections were cut because no more bytes might pass.
    cuts: u64,
    answered: u64,
    asked: u64,
}

/// Both ends of a connection.
#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: UnixStream,
    state: Arc<State>,
}

/// What both directions of a connection know.
#[derive(Debug)]
struct State {
    /// Nothing passes any more, not even the end of one side.
    is_silent: AtomicBool,
    /// A store listens on it. It tells others on it after a commit, at any time, so its bytes are not counted.
    is_listener: AtomicBool,
}

impl State {
    fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::Acquire)
    }
}

#[derive(Debug, Default)]
struct Network {
    way: Mutex<Way>,
    changed: Condvar,
    ended: AtomicBool,
}

impl Network {
    fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap()
    }
}

impl Way {
    fn cut(&mut self) {
        for connection in self.connections.drain(..) {
            let _ = connection.client.shutdown(Shutdown::Both);
            let _ = connection.server.shutdown(Shutdown::Both);
        }
    }

    fn silence(&mut self) {
        (self.heard_left, self.said_left) = (None, None);
        self.is_silent = true;
        for connection in &self.connections {
            connection.state.is_silent.store(true, Ordering::Release);
        }
    }
}

impl Proxy {
    /// Listens on this machine alone.
    pub fn new(server: &Path) -> Self {
        Self::on(IpAddr::V4(Ipv4Addr::LOCALHOST), server)
    }

    /// Listens on an address of this machine, on a port that the system gives.
    ///
    /// # Panics
    ///
    /// If it cannot listen there.
    pub fn on(address: IpAddr, server: &Path) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let network = Arc::<Network>::default();
        server.clone_into(&mut network.way().server);
        let listening = network.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if listening.ended.load(Ordering::Acquire) {
                    break;
                }
                let Ok(client) = client else { continue };
                // Without a server behind it the connection is refused.
                let _ = connect(&listening, client);
            }
        });
        Self { address, network }
    }

    /// The URL of the database behind it.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address)
    }

    /// Passes new connections on to this server.
    pub fn lead_to(&self, server: &Path) {
        server.clone_into(&mut self.network.way().server);
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.network.way().cut();
        self.network.changed.notify_all();
    }

    /// Lets nothing pass, and lets nobody know, until it is unset.
    pub fn cut_off(&self, is_cut_off: bool) {
        self.change(|way| way.is_cut_off = is_cut_off);
    }

    /// Lets answers wait, until it is unset.
    pub fn hold_answers(&self, hold: bool) {
        self.change(|way| way.holds_answers = hold);
    }

    /// Drops all answers, until it is unset. What was dropped never comes.
    pub fn swallow_answers(&self, swallow: bool) {
        self.change(|way| way.swallows_answers = swallow);
    }

    /// Lets everything take so long in each direction.
    pub fn delay(&self, delay: Duration) {
        self.change(|way| way.delay = delay);
    }

    /// Cuts all connections after so many more bytes of answers.
    pub fn cut_after_answers(&self, bytes: u64) {
        self.change(|way| way.answers_left = Some(bytes));
    }

    /// Cuts all connections after so many more bytes of requests.
    pub fn cut_after_requests(&self, bytes: u64) {
        self.change(|way| way.requests_left = Some(bytes));
    }

    /// Lets nothing pass after so many more bytes of answers, and lets nobody know, as if the other
    /// machine were gone. Both sides believe in their connections.
    pub fn silence_after(&self, bytes: u64) {
        self.change(|way| way.heard_left = Some(bytes));
    }

    /// As [`silence_after`](Self::silence_after), after so many more bytes of requests.
    pub fn silence_after_requests(&self, bytes: u64) {
        self.change(|way| way.said_left = Some(bytes));
    }

    /// Lets new connections pass everything again. Those that are silent stay so.
    pub fn end_silence(&self) {
        self.change(|way| {
            (way.heard_left, way.said_left) = (None, None);
            way.is_silent = false;
        });
    }

    /// How many times connections were cut because no more bytes might pass.
    pub fn cuts(&self) -> u64 {
        self.network.way().cuts
    }

    /// How many bytes of requests have passed.
    pub fn asked(&self) -> u64 {
        self.network.way().asked
    }

    /// How many bytes of answers have passed.
    pub fn answered(&self) -> u64 {
        self.network.way().answered
    }

    fn change(&self, change: impl FnOnce(&mut Way)) {
        change(&mut self.network.way());
        self.network.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.network.ended.store(true, Ordering::Release);
        self.cut();
        // Wakes whoever listens.
        let _ = TcpStream::connect(self.address);
    }
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Requests,
    Answers,
}

fn connect(network: &Arc<Network>, client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut way = network.way();
    let server = UnixStream::connect(&way.server)?;
    let state = Arc::new(State {
        is_silent: AtomicBool::new(way.is_silent),
        is_listener: AtomicBool::new(false),
    });
    way.connections.push(Connection {
        client: client.try_clone()?,
        server: server.try_clone()?,
        state: state.clone(),
    });
    drop(way);
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    let (there, here) = (network.clone(), state.clone());
    std::thread::spawn(move || pass(&there, Direction::Requests, &here, from, to));
    let back = network.clone();
    std::thread::spawn(move || pass(&back, Direction::Answers, &state, server, client));
    Ok(())
}

/// What has two directions, each of which can be closed.
trait Stream: io::Read + io::Write {
    fn close(&self);
}

impl Stream for TcpStream {
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Stream for UnixStream {
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

/// Passes bytes on until one side has ended.
fn pass(
    network: &Network,
    direction: Direction,
    state: &Arc<State>,
    mut from: impl Stream,
    mut to: impl Stream,
) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        let bytes = &bytes[..length];
        if direction == Direction::Requests && bytes.windows(7).any(|part| part == b"LISTEN ") {
            state.is_listener.store(true, Ordering::Release);
        }
        if !state.is_silent() && !pass_on(network, direction, state, bytes, &mut to) {
            break;
        }
    }
    // The other side does not hear of the end of a silent one either. It has an end of its own in `connections`.
    if !state.is_silent() {
        from.close();
        to.close();
        let mut way = network.way();
        way.connections
            .retain(|connection| !Arc::ptr_eq(&connection.state, state));
    }
}

/// Whether the connection goes on.
fn pass_on(
    network: &Network,
    direction: Direction,
    state: &State,
    bytes: &[u8],
    to: &mut impl Stream,
) -> bool {
    let is_answer = direction == Direction::Answers;
    let delay = network.way().delay;
    if !delay.is_zero() {
        // It is what the delay is.
        std::thread::sleep(delay);
    }
    let mut way = network.way();
    while way.is_cut_off || (is_answer && way.holds_answers) {
        // Those who hold the ends may be gone meanwhile.
        if network.ended.load(Ordering::Acquire) {
            return false;
        }
        way = network.changed.wait(way).unwrap();
    }
    if state.is_silent() || (is_answer && way.swallows_answers) {
        return true;
    }
    if state.is_listener.load(Ordering::Acquire) {
        drop(way);
        return to.write_all(bytes).is_ok();
    }
    let until_silence = if is_answer {
        &mut way.heard_left
    } else {
        &mut way.said_left
    };
    if let Some(left) = until_silence {
        let length = bytes.len() as u64;
        if *left < length {
            let passing = usize::try_from(*left).unwrap_or_default();
            way.silence();
            return to.write_all(&bytes[..passing]).is_ok();
        }
        *left -= length;
    }
    let left = if is_answer {
        &mut way.answers_left
    } else {
        &mut way.requests_left
    };
    let mut passing = bytes;
    let mut cuts = false;
    if let Some(left) = left {
        if *left < bytes.len() as u64 {
            passing = &bytes[..usize::try_from(*left).unwrap_or_default()];
            cuts = true;
        } else {
            *left -= bytes.len() as u64;
        }
    }
    if is_answer {
        way.answered += passing.len() as u64;
    } else {
        way.asked += passing.len() as u64;
    }
    if !cuts {
        drop(way);
        return to.write_all(passing).is_ok();
    }
    let _ = to.write_all(passing);
    (way.answers_left, way.requests_left) = (None, None);
    way.cuts += 1;
    way.cut();
    false
}
