//! Several processes on one schema, while some of them, the server, or the network fail.

use std::net::IpAddr;
use std::time::Duration;

use histories::proxy::Proxy;

use crate::networks::Namespace;
use crate::postgres::Server;
use crate::run::{Run, Worker, signal};

/// Starts `count` processes, one of which runs the process manager.
fn start(run: &mut Run, count: usize) -> Vec<Worker> {
    run.set(|task| task.copies = true);
    (0..count).map(|_| run.start()).collect()
}

fn each_does(workers: &[Worker], operations: u64) {
    for worker in workers {
        worker.wait_for_more(operations);
    }
}

async fn finish(mut run: Run, workers: impl IntoIterator<Item = Worker>) {
    run.finish_all(workers);
    run.settle().await;
    run.assert_right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_on_the_same_lists_keep_all_promises() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut run = Run::on(&server);
    let workers = start(&mut run, 3);
    each_does(&workers, 300);
    finish(run, workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_are_killed_hold_nobody_up_and_lose_nothing() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut run = Run::on(&server);
    let mut workers = start(&mut run, 3);
    for round in 0..6 {
        each_does(&workers, 60);
        let killed = workers.remove(1 + round % 2);
        run.kill(killed);
        each_does(&workers, 60);
        workers.push(run.start());
    }
    finish(run, workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_the_server_lose_nothing_of_several_processes() {
    let Some(mut server) = Server::start(&[]) else {
        return;
    };
    let mut run = Run::on(&server);
    let workers = start(&mut run, 2);
    for _ in 0..3 {
        each_does(&workers, 100);
        server.kill();
        server.run(&[]);
    }
    each_does(&workers, 100);
    finish(run, workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn promotions_lose_nothing_that_was_answered_to_several_processes() {
    let Some(mut primary) = Server::start(&[]) else {
        return;
    };
    let proxy = Proxy::new(&primary.socket_path());
    let mut run = Run::at(proxy.url());
    let workers = start(&mut run, 2);
    for _ in 0..2 {
        each_does(&workers, 60);
        let standby = primary.standby(&[]);
        primary.wait_for_standby(true);
        each_does(&workers, 100);
        proxy.lead_to(&standby.socket_path());
        primary.kill();
        standby.promote();
        primary = standby;
    }
    each_does(&workers, 100);
    finish(run, workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stands_still_holds_nobody_up_and_goes_on_afterwards() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut run = Run::on(&server);
    run.set(|task| task.command_timeout = Duration::from_secs(2));
    let workers = start(&mut run, 2);
    for _ in 0..3 {
        each_does(&workers, 60);
        signal("STOP", workers[1].id());
        workers[0].wait_for_more(400);
        signal("CONT", workers[1].id());
    }
    each_does(&workers, 100);
    finish(run, workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_connections_are_cut_and_another_one_agree() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let proxy = Proxy::new(&server.socket_path());
    let mut run = Run::at(proxy.url());
    let mut workers = vec![run.start()];
    run.set(|task| task.place = crate::run::orders(&server));
    workers.push(run.start());
    for round in 0..20_u64 {
        workers[0].wait_for_more(20);
        match round % 3 {
            0 => proxy.cut_after_answers(round * round * 37),
            1 => proxy.cut_after_requests(round * round * 97),
            _ => proxy.cut(),
        }
    }
    each_does(&workers, 40);
    finish(run, workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_answers_are_swallowed_settles_what_it_sent() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let proxy = Proxy::new(&server.socket_path());
    let mut run = Run::at(proxy.url());
    run.set(|task| task.command_timeout = Duration::from_millis(700));
    let mut workers = vec![run.start()];
    run.set(|task| task.place = crate::run::orders(&server));
    workers.push(run.start());
    for _ in 0..3 {
        each_does(&workers, 100);
        proxy.swallow_answers(true);
        workers[1].wait_for_more(100);
        // They fail.
        workers[0].wait_for_more(40);
        proxy.swallow_answers(false);
    }
    each_does(&workers, 100);
    finish(run, workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_parted_from_the_server_holds_nobody_up_and_goes_on_afterwards() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let Some(network) = Namespace::new() else {
        return;
    };
    let proxy = Proxy::on(IpAddr::V4(network.host), &server.socket_path());
    let mut run = Run::at(proxy.url());
    run.set(|task| task.command_timeout = Duration::from_millis(700));
    run.within = network.within();
    let mut workers = vec![run.start()];
    run.within.clear();
    run.set(|task| task.place = crate::run::orders(&server));
    workers.push(run.start());
    for _ in 0..3 {
        each_does(&workers, 100);
        network.part(true);
        workers[1].wait_for_more(300);
        workers[0].wait_for_more(20);
        network.part(false);
    }
    each_does(&workers, 100);
    finish(run, workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_whose_clocks_are_hours_apart_agree() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut run = Run::on(&server);
    let mut workers = Vec::new();
    for hours in [1, -1, 0] {
        run.set(|task| task.hours_ahead = hours);
        workers.push(run.start());
    }
    each_does(&workers, 200);
    finish(run, workers).await;
}
