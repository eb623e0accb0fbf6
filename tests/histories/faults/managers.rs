//! A process manager that any of several processes may run, while its runner, the network or the server
//! fails. What it sends takes effect once for each event: [`Copies`](crate::copies::Copies) says so.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use histories::proxy::Proxy;

use crate::networks::Namespace;
use crate::postgres::Server;
use crate::run::{DEADLINE, Run, Worker, orders, signal};

/// More keys than an aggregate remembers. After so many commands only the end of its term keeps what a
/// replaced runner still sends from taking effect again.
const MORE_THAN_REMEMBERED: u64 = 1_100;

/// Sets up processes that all append to the list that is copied.
fn busy(run: &mut Run) {
    run.set(|task| {
        task.copies = true;
        task.lists = 2;
        task.command_timeout = Duration::from_secs(2);
    });
}

/// The id of the process that has the lease of the process manager.
fn runner(server: &Server) -> Option<u32> {
    let sign =
        server.sql("SELECT sign FROM orders.leases WHERE kind = 'process manager' AND term <> 0");
    let (_, rest) = sign.split_once("process ")?;
    rest.split_once(' ')?.0.parse().ok()
}

/// Waits until a process other than this one has the lease.
fn wait_for_runner(server: &Server, except: Option<u32>) -> u32 {
    let started = Instant::now();
    loop {
        if let Some(runner) = runner(server).filter(|runner| Some(*runner) != except) {
            return runner;
        }
        assert!(started.elapsed() < DEADLINE, "nobody runs it");
    }
}

/// How many commands have taken effect on the copy.
fn copied(server: &Server) -> u64 {
    let version = server.sql("SELECT version FROM orders.streams WHERE id = 'copy'");
    version.parse().unwrap_or_default()
}

/// Waits until so many more commands have taken effect.
fn wait_for_copies(server: &Server, workers: &[Worker], count: u64) {
    let (started, enough) = (Instant::now(), copied(server) + count);
    while copied(server) < enough {
        for worker in workers {
            worker.wait_until(Instant::now() + Duration::from_millis(10));
        }
        let copied = copied(server);
        assert!(
            started.elapsed() < DEADLINE,
            "{copied} copies, not {enough}"
        );
    }
}

/// Which of the processes it is.
fn place(workers: &[Worker], id: u32) -> usize {
    let place = workers.iter().position(|worker| worker.id() == id);
    place.expect("one of the processes runs it")
}

async fn finish(mut run: Run, workers: Vec<Worker>) {
    run.finish_all(workers);
    run.settle().await;
    run.assert_right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_the_runner_let_each_reaction_take_effect_once() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut run = Run::on(&server);
    busy(&mut run);
    let mut workers: Vec<_> = (0..3).map(|_| run.start()).collect();
    let mut last = None;
    for round in 0..4 {
        let id = wait_for_runner(&server, last);
        wait_for_copies(&server, &workers, 20 + 13 * round);
        let killed = workers.remove(place(&workers, id));
        run.kill(killed);
        workers.push(run.start());
        last = Some(id);
    }
    wait_for_runner(&server, last);
    wait_for_copies(&server, &workers, 20);
    finish(run, workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_stood_still_lets_no_reaction_take_effect_again() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut run = Run::on(&server);
    busy(&mut run);
    run.set(|task| task.clients = 24);
    let workers: Vec<_> = (0..2).map(|_| run.start()).collect();
    let id = wait_for_runner(&server, None);
    wait_for_copies(&server, &workers, 50);
    signal("STOP", id);
    wait_for_runner(&server, Some(id));
    wait_for_copies(&server, &workers, MORE_THAN_REMEMBERED);
    signal("CONT", id);
    assert!(workers[place(&workers, id)].wait_for_more(40));
    finish(run, workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_is_cut_off_lets_each_reaction_take_effect_once() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let proxies: Vec<_> = (0..2).map(|_| Proxy::new(&server.socket_path())).collect();
    let mut run = Run::at(String::new());
    busy(&mut run);
    run.look_at(orders(&server));
    let mut workers = Vec::new();
    for proxy in &proxies {
        let url = proxy.url();
        run.set(|task| {
            task.place = crate::worker::Place::Postgres {
                url,
                schema: "orders".to_owned(),
            }
        });
        workers.push(run.start());
    }
    for round in 0..4 {
        let id = wait_for_runner(&server, None);
        wait_for_copies(&server, &workers, 30);
        let proxy = &proxies[place(&workers, id)];
        // What it sends arrives and what it would hear does not, or nothing arrives.
        if round % 2 == 0 {
            proxy.swallow_answers(true);
        } else {
            proxy.cut_off(true);
        }
        wait_for_runner(&server, Some(id));
        wait_for_copies(&server, &workers, 200);
        proxy.swallow_answers(false);
        proxy.cut_off(false);
        proxy.cut();
        assert!(workers[place(&workers, id)].wait_for_more(40));
    }
    finish(run, workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_in_a_parted_network_lets_each_reaction_take_effect_once() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let Some(network) = Namespace::new() else {
        return;
    };
    let proxy = Proxy::on(IpAddr::V4(network.host), &server.socket_path());
    let mut run = Run::at(proxy.url());
    busy(&mut run);
    run.within = network.within();
    let mut workers = vec![run.start()];
    run.within.clear();
    run.look_at(orders(&server));
    run.set(|task| task.place = orders(&server));
    let first = wait_for_runner(&server, None);
    workers.push(run.start());
    wait_for_copies(&server, &workers, 50);
    for _ in 0..2 {
        network.part(true);
        let second = wait_for_runner(&server, Some(first));
        wait_for_copies(&server, &workers, 200);
        network.part(false);
        assert!(workers[0].wait_for_more(40));
        // The parted one has its turn again.
        signal("STOP", second);
        wait_for_runner(&server, Some(second));
        wait_for_copies(&server, &workers, 50);
        signal("CONT", second);
    }
    finish(run, workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn promotions_let_each_reaction_take_effect_once_also_if_the_runner_is_lost_with_the_server()
{
    let Some(mut primary) = Server::start(&[]) else {
        return;
    };
    let proxy = Proxy::new(&primary.socket_path());
    let mut run = Run::at(proxy.url());
    busy(&mut run);
    let mut workers: Vec<_> = (0..2).map(|_| run.start()).collect();
    for is_lost in [false, true] {
        let id = wait_for_runner(&primary, None);
        wait_for_copies(&primary, &workers, 30);
        let standby = primary.standby(&[]);
        primary.wait_for_standby(true);
        wait_for_copies(&primary, &workers, 60);
        proxy.lead_to(&standby.socket_path());
        primary.kill();
        if is_lost {
            let killed = workers.remove(place(&workers, id));
            run.kill(killed);
        }
        standby.promote();
        primary = standby;
        if is_lost {
            workers.push(run.start());
            wait_for_runner(&primary, Some(id));
        }
        wait_for_copies(&primary, &workers, 60);
    }
    finish(run, workers).await;
}
