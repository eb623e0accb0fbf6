//! Processes that are killed and stopped.

use crate::postgres::Server;
use crate::run::Run;
use crate::worker::Place;

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_the_process_lose_nothing_on_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::new(Place::Files(dir.path().to_owned()));
    run.set(|task| task.copies = true);
    for round in 0..6 {
        let worker = run.start();
        worker.wait_for_more(100 + 40 * round);
        run.kill(worker);
    }
    let worker = run.start();
    worker.wait_for_more(300);
    run.finish(worker);
    run.settle().await;
    run.assert_right().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_the_process_lose_nothing_on_postgres() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut run = Run::on(&server);
    run.set(|task| task.copies = true);
    for round in 0..6 {
        let worker = run.start();
        worker.wait_for_more(100 + 40 * round);
        run.kill(worker);
    }
    let worker = run.start();
    worker.wait_for_more(300);
    run.finish(worker);
    run.settle().await;
    run.assert_right().await;
}
