//! Stores whose power fails at any moment.
//!
//! A store runs for a while on a watched directory. For many points of what it did to the disk, and
//! for many choices of what a failing disk may make of the rest, the directory is rebuilt as it could
//! have been left and opened again.
//!
//! `EVENTFOLD_WHOLE=1 EVENTFOLD_SEEDS=1000000 cargo test --release -p eventfold-es power_loss` tries that
//! many.

use std::path::Path;

use crate::CommandContext;
use crate::storage::files::crash::{
    Account, Everything, builder, check, extent, id, note, runtime, temp_dir,
};
use crate::storage::files::disk::faults::{Choices, Log, Watch};

/// How many cases there are unless the environment says otherwise.
const SEEDS: u64 = 2_000;

/// Runs a store on `dir` and notes what was answered. Commands come in groups that are under way
/// together; `numbers` are theirs.
async fn run(dir: &Path, watch: &Watch, numbers: std::ops::Range<u64>) {
    let store = builder(dir).compress_journal(true).open().await;
    let store = store.expect("the disk works");
    let numbers: Vec<u64> = numbers.collect();
    for (i, group) in numbers.chunks(5).enumerate() {
        let mut under_way = Vec::new();
        for number in group {
            let account = store
                .get::<Account>(&id(*number))
                .await
                .expect("it is open");
            let number = *number;
            under_way.push(tokio::spawn(async move {
                let context = CommandContext::default();
                account
                    .execute(note(number), context)
                    .await
                    .expect("the disk works");
                number
            }));
        }
        for command in under_way {
            watch.mark(command.await.expect("it does not panic"));
        }
        if i % 3 == 0 {
            let _: Everything = store.projection().expect("the disk works");
            store.read_side.save_projections();
        }
    }
    store.shutdown().await.expect("the disk works");
}

/// A run of its own, and what it did to the disk.
fn recorded(numbers: std::ops::Range<u64>) -> Log {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(run(dir.path(), &watch, numbers));
    watch.stop()
}

fn seeds() -> u64 {
    let seeds = std::env::var("EVENTFOLD_SEEDS").ok();
    seeds.and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS)
}

/// Rebuilds a directory from `log` by `seed`, and checks it. The power may fail once more while it is
/// brought in order.
pub(crate) fn rebuilt(
    log: &Log,
    seed: u64,
    check: impl Fn(&Path, &[u64]) -> Result<(), String>,
) -> Result<(), String> {
    let mut choices = Choices::new(seed);
    let point = log.point(&mut choices);
    let answered = log.answers(point);
    let dir = temp_dir();
    log.image(point, &mut choices, dir.path())
        .map_err(|e| e.to_string())?;
    if choices.below(4) > 0 {
        return check(dir.path(), &answered);
    }
    let watch = Watch::resume(dir.path());
    let checked = check(dir.path(), &answered);
    let second = watch.stop();
    checked?;
    let again = temp_dir();
    let point = second.point(&mut choices);
    second
        .image(point, &mut choices, again.path())
        .map_err(|e| e.to_string())?;
    check(again.path(), &answered).map_err(|e| format!("after a second failure at {point}: {e}"))
}

/// Tries the seeds, [each or a part of them](extent), on all processors, and says what failed.
pub(crate) fn failures(
    seeds: u64,
    try_seed: impl Fn(u64) -> Result<(), String> + Sync,
) -> Vec<String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let step = extent::step();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let try_seed = &try_seed;
                scope.spawn(move || {
                    (worker * step..seeds)
                        .step_by(usize::try_from(threads * step).expect("few threads"))
                        .filter_map(|seed| {
                            let failed = try_seed(seed).err()?;
                            Some(format!("seed {seed}: {failed}"))
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let joined = workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"));
        joined.flatten().collect()
    })
}

/// As [`failures`]; none may fail.
pub(crate) fn in_parallel(seeds: u64, try_seed: impl Fn(u64) -> Result<(), String> + Sync) {
    let failures = failures(seeds, try_seed);
    assert!(
        failures.is_empty(),
        "{} of {} seeds failed:\n{}",
        failures.len(),
        extent::tried(seeds),
        failures[..failures.len().min(10)].join("\n")
    );
}

#[test]
fn a_power_failure_at_any_moment_loses_no_answered_command_and_stores_none_in_part() {
    let logs: Vec<Log> = (0..8)
        .map(|run| recorded(run * 1_000..run * 1_000 + 40))
        .collect();
    in_parallel(seeds(), |seed| {
        let log = &logs[usize::try_from(seed).expect("few seeds") % logs.len()];
        rebuilt(log, seed, |dir, answered| {
            runtime().block_on(check(dir, answered))
        })
    });
}
