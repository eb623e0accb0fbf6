//! Networks that swallow, delay and cut.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use eventfold_es::{AggregateStore, ExecuteError};
use histories::proxy::Proxy;

use crate::postgres::Server;
use crate::run::is_root;
use crate::run::{DEADLINE, Run};
use crate::servers::{append, count};

async fn open(proxy: &Proxy, command_timeout: Duration) -> AggregateStore {
    let store = AggregateStore::postgres(proxy.url())
        .schema("orders")
        .command_timeout(command_timeout);
    store.open().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_at_any_byte_of_an_answer_stores_each_command_once() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let proxy = Proxy::new(&server.socket_path());
    let store = open(&proxy, Duration::from_secs(30)).await;
    append(&store, "a", 1).await.unwrap();
    let before = proxy.answered();
    append(&store, "a", 2).await.unwrap();
    let answer = proxy.answered() - before;
    let mut length = 2;
    for bytes in 0..=answer {
        proxy.cut_after_answers(bytes);
        length += 1;
        assert_eq!(append(&store, "a", length).await.unwrap(), length);
    }
    assert!(proxy.cuts() >= answer / 2, "{} cuts", proxy.cuts());
    assert_eq!(count(&server), length.to_string());
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_at_any_byte_of_a_request_stores_each_command_once() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let proxy = Proxy::new(&server.socket_path());
    let store = open(&proxy, Duration::from_secs(30)).await;
    let mut length = 0;
    // A request has about a thousand bytes.
    for bytes in (0..1200).step_by(23) {
        proxy.cut_after_requests(bytes);
        length += 1;
        assert_eq!(append(&store, "a", length).await.unwrap(), length);
    }
    assert!(proxy.cuts() > 20, "{} cuts", proxy.cuts());
    assert_eq!(count(&server), length.to_string());
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_looked_up_and_nobody_notices() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let proxy = Proxy::new(&server.socket_path());
    let store = open(&proxy, Duration::from_secs(30)).await;
    for length in [2, 4, 6] {
        // A new connection asks for more than the commands after it.
        append(&store, "a", length - 1).await.unwrap();
        proxy.swallow_answers(true);
        let sending = tokio::spawn({
            let store = store.clone();
            async move { append(&store, "a", length).await }
        });
        let started = Instant::now();
        while count(&server) != length.to_string() {
            assert!(started.elapsed() < DEADLINE, "{length} elements never came");
        }
        // The answer is lost for good. Later ones come through.
        proxy.swallow_answers(false);
        proxy.cut();
        assert_eq!(sending.await.unwrap().unwrap(), length);
    }
    assert_eq!(count(&server), "6");
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_connection_callers_hear_so_within_the_time_limit_and_what_was_sent_is_unknown() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let proxy = Proxy::new(&server.socket_path());
    let limit = Duration::from_millis(500);
    let store = open(&proxy, limit).await;
    append(&store, "a", 1).await.unwrap();
    proxy.cut_off(true);
    let started = Instant::now();
    let sent = append(&store, "a", 2).await.unwrap_err();
    assert!(matches!(sent, ExecuteError::OutcomeUnknown(_)), "{sent}");
    let waiting = append(&store, "b", 3).await.unwrap_err();
    let ExecuteError::Io(error) = &waiting else {
        panic!("{waiting}");
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    let passed = started.elapsed();
    assert!(passed < 20 * limit, "it took {passed:?}");
    proxy.cut_off(false);
    proxy.cut();
    // It goes on by itself. Whether 2 was stored is settled first.
    let length = loop {
        match append(&store, "a", 4).await {
            Ok(length) => break length,
            Err(error) => assert!(started.elapsed() < DEADLINE, "{error}"),
        }
    };
    let stored = server.sql("SELECT count(*) FROM orders.events WHERE id = 'a'");
    assert_eq!(stored, length.to_string());
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_and_delays_lose_nothing() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let proxy = Proxy::new(&server.socket_path());
    let mut run = Run::at(proxy.url());
    let worker = run.start();
    for round in 0..20_u64 {
        worker.wait_for_more(20);
        match round % 4 {
            0 => proxy.cut_after_answers(round * round * 37),
            1 => proxy.cut_after_requests(round * round * 97),
            2 => proxy.delay(Duration::from_millis(3)),
            _ => proxy.delay(Duration::ZERO),
        }
    }
    worker.wait_for_more(20);
    run.finish(worker);
    assert!(proxy.cuts() > 0);
    run.assert_right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_falls_silent_at_any_moment_holds_nobody_up_for_longer_than_the_time_limit()
 {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let proxy = Proxy::new(&server.socket_path());
    let limit = Duration::from_millis(200);
    let store = open(&proxy, limit).await;
    append(&store, "a", 1).await.unwrap();
    let mut element = 1;
    let mut sent = async || {
        element += 1;
        let sent = append(&store, "a", element);
        match tokio::time::timeout(20 * limit, sent).await {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(_) => Err("no answer at all".to_owned()),
        }
    };
    // All that is answered to a command and to a new connection has about 2,000 bytes.
    for bytes in (0..2000).step_by(97) {
        proxy.silence_after(bytes);
        // New connections are needed for most of it.
        while sent().await.is_ok() {
            proxy.cut();
        }
        proxy.end_silence();
        let started = Instant::now();
        while let Err(error) = sent().await {
            let passed = started.elapsed();
            assert!(passed < 40 * limit, "silent after {bytes} bytes: {error}");
        }
    }
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_falls_silent_within_a_request_holds_nobody_else_up() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let proxy = Proxy::new(&server.socket_path());
    let limit = Duration::from_millis(500);
    let store = open(&proxy, limit).await;
    let other = Proxy::new(&server.socket_path());
    let other = open(&other, Duration::from_secs(30)).await;
    append(&store, "a", 1).await.unwrap();
    let before = proxy.asked();
    append(&store, "a", 2).await.unwrap();
    let request = proxy.asked() - before;
    // The last message of a request has five bytes. Without it the server waits, with all that it holds.
    for missing in [1, 4, 5, 6, 20, request / 2] {
        let element = 10 + missing;
        proxy.silence_after_requests(request - missing);
        let failed = append(&store, "a", element).await;
        assert!(failed.is_err(), "{missing} bytes were missing: {failed:?}");
        let started = Instant::now();
        append(&other, "b", element).await.unwrap();
        let passed = started.elapsed();
        assert!(
            passed < DEADLINE / 2,
            "{missing} bytes were missing: {passed:?}"
        );
        println!("{missing} bytes were missing: the other waited for {passed:?}");
        proxy.end_silence();
        while append(&store, "a", 100 + element).await.is_err() {
            assert!(started.elapsed() < DEADLINE, "{missing} bytes were missing");
        }
    }
    other.shutdown().await.unwrap();
    store.shutdown().await.unwrap();
}

/// A network of a process's own, which ends with the value.
pub(crate) struct Namespace {
    name: String,
    /// The end of its only cable that is in our network.
    cable: String,
    /// The address of this machine in it.
    pub(crate) host: Ipv4Addr,
}

impl Namespace {
    /// `None` where that needs other rights, and says so.
    pub(crate) fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !is_root() {
            eprintln!("skipped: a network of its own needs root");
            return None;
        }
        let process = std::process::id();
        // Addresses for tests of networks, four to each process.
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let [_, high, middle, low] = ((process << 4) + (number << 2)).to_be_bytes();
        let address = |low| Ipv4Addr::new(198, 18 + high % 2, middle, low);
        let namespace = Self {
            name: format!("histories-{process}-{number}"),
            cable: format!("h{process}-{number}"),
            host: address(low + 1),
        };
        let (name, cable) = (&namespace.name, &namespace.cable);
        let script = format!(
            "set -e; ip netns add {name}; \
             ip link add {cable} type veth peer name eth0 netns {name}; \
             ip address add {host}/30 dev {cable}; ip link set {cable} up; \
             ip -n {name} address add {guest}/30 dev eth0; ip -n {name} link set eth0 up",
            host = namespace.host,
            guest = address(low + 2),
        );
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        if output.status.success() {
            return Some(namespace);
        }
        let text = String::from_utf8_lossy(&output.stderr);
        eprintln!("skipped: no network of its own: {text}");
        None
    }

    /// The words before a program that runs in it.
    pub(crate) fn within(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.name]
            .map(str::to_owned)
            .to_vec()
    }

    /// Drops everything on the way, or nothing.
    pub(crate) fn part(&self, is_parted: bool) {
        let state = if is_parted { "down" } else { "up" };
        let mut ip = Command::new("ip");
        let ip = ip.args(["-n", &self.name, "link", "set", "eth0", state]);
        assert!(ip.status().unwrap().success());
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The cable goes with it.
        let _ = Command::new("ip")
            .args(["link", "del", &self.cable])
            .output();
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_parted_from_the_server_goes_on_afterwards() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let Some(network) = Namespace::new() else {
        return;
    };
    let proxy = Proxy::on(IpAddr::V4(network.host), &server.socket_path());
    let mut run = Run::at(proxy.url());
    run.within = network.within();
    run.set(|task| task.command_timeout = Duration::from_millis(500));
    let worker = run.start();
    for _ in 0..2 {
        worker.wait_for_more(100);
        network.part(true);
        // All of them fail.
        worker.wait_for_more(40);
        network.part(false);
    }
    worker.wait_for_more(200);
    run.finish(worker);
    let report = run.assert_right().await;
    assert!(report.unknown > 0, "{report}");
}
