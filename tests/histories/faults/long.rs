//! Long runs, with all faults in any order. Each has a short form.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use histories::proxy::Proxy;

use crate::postgres::Server;
use crate::run::{DEADLINE, Run, Worker, signal};
use crate::worker::Place;

/// How many operations a run has, unless `EVENTFOLD_OPERATIONS` says otherwise.
const OPERATIONS: u64 = 3_000;
/// How many seconds a run takes, unless `EVENTFOLD_SECONDS` says otherwise.
const SECONDS: u64 = 6;
/// How many operations there are from one fault to the next.
const BETWEEN: u64 = 200;
/// How many processes work at the same time.
const PROCESSES: usize = 2;

/// The number in a variable of the environment.
fn variable(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name);
    text.map_or(otherwise, |text| text.parse().unwrap())
}

/// Processes on a schema, each of which has a network of its own.
struct Field {
    server: Server,
    run: Run,
    proxies: Vec<Proxy>,
    workers: Vec<Worker>,
    /// How many operations those did that have ended.
    did: u64,
    random: Box<dyn FnMut() -> u64 + Send>,
    faults: BTreeMap<&'static str, u64>,
    started: Instant,
}

impl Field {
    /// `None` if there is no server, and says so.
    fn new(seed: u64) -> Option<Self> {
        let server = Server::start(&[])?;
        let proxies = (0..PROCESSES).map(|_| Proxy::new(&server.socket_path()));
        let proxies = proxies.collect();
        let mut state = seed * 2 + 1;
        let random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut run = Run::on(&server);
        run.set(|task| {
            task.command_timeout = Duration::from_secs(1);
            task.copies = true;
        });
        let mut field = Self {
            server,
            run,
            proxies,
            workers: Vec::new(),
            did: 0,
            random: Box::new(random),
            faults: BTreeMap::new(),
            started: Instant::now(),
        };
        for number in 0..PROCESSES {
            let worker = field.start(number);
            field.workers.push(worker);
        }
        Some(field)
    }

    /// Starts the process with this number, not always with the same load.
    fn start(&mut self, number: usize) -> Worker {
        let (lists, clients) = ((self.random)() % 30 + 2, (self.random)() % 30 + 2);
        let place = Place::Postgres {
            url: self.proxies[number].url(),
            schema: "orders".to_owned(),
        };
        self.run.set(|task| {
            task.place = place;
            (task.lists, task.clients) = (lists, clients);
        });
        self.run.start()
    }

    fn operations(&self) -> u64 {
        self.did + self.workers.iter().map(Worker::did).sum::<u64>()
    }

    /// Waits until there were so many more operations, whoever did them.
    fn wait_for_more(&self, operations: u64) {
        let enough = self.operations() + operations;
        let started = Instant::now();
        while self.operations() < enough {
            for worker in &self.workers {
                worker.wait_until(Instant::now() + Duration::from_millis(20));
            }
            let passed = started.elapsed();
            assert!(passed < DEADLINE, "only {} operations", self.operations());
        }
    }

    fn kill_process(&mut self, number: usize) {
        let worker = self.start_instead(number);
        self.did += worker.did();
        self.run.kill(worker);
    }

    /// Kills the process, starts another one in its place, and returns the dead one.
    fn start_instead(&mut self, number: usize) -> Worker {
        self.workers[number].kill();
        let new = self.start(number);
        std::mem::replace(&mut self.workers[number], new)
    }

    fn promote(&mut self) {
        let standby = self.server.standby(&[]);
        self.server.wait_for_standby(true);
        self.wait_for_more(BETWEEN / 4);
        for proxy in &self.proxies {
            proxy.lead_to(&standby.socket_path());
        }
        self.server.kill();
        standby.promote();
        self.server = standby;
    }

    /// A moment of some length.
    fn moment(&mut self) -> Duration {
        Duration::from_millis((self.random)() % 1_500)
    }

    /// Something fails, and works again.
    fn fail(&mut self) {
        let number = usize::try_from((self.random)()).unwrap_or_default() % PROCESSES;
        let bytes = (self.random)() % 100_000;
        let moment = self.moment();
        let proxy = &self.proxies[number];
        let fault = match (self.random)() % 12 {
            0 | 1 => {
                self.kill_process(number);
                "kills of a process"
            }
            2 | 3 => {
                self.server.kill();
                self.server.run(&[]);
                "kills of the server"
            }
            4 => {
                self.server.stop();
                std::thread::sleep(moment);
                self.server.go_on();
                "stops of the server"
            }
            5 => {
                let stopped = self.workers[number].id();
                signal("STOP", stopped);
                std::thread::sleep(moment);
                signal("CONT", stopped);
                "stops of a process"
            }
            6 => {
                proxy.cut_after_answers(bytes);
                "cut answers"
            }
            7 => {
                proxy.cut_after_requests(bytes);
                "cut requests"
            }
            8 => {
                proxy.swallow_answers(true);
                std::thread::sleep(moment);
                proxy.swallow_answers(false);
                proxy.cut();
                "swallowed answers"
            }
            9 => {
                proxy.delay(moment / 500);
                "delays"
            }
            10 => {
                proxy.cut_off(true);
                std::thread::sleep(moment);
                proxy.cut_off(false);
                "partitions"
            }
            _ => {
                self.promote();
                "promotions"
            }
        };
        *self.faults.entry(fault).or_default() += 1;
    }

    async fn finish(mut self) {
        for proxy in &self.proxies {
            proxy.delay(Duration::ZERO);
        }
        // None of them hangs.
        for worker in &self.workers {
            assert!(worker.wait_for_more(20), "a process has ended");
        }
        self.run.finish_all(std::mem::take(&mut self.workers));
        self.run.look_at(crate::run::orders(&self.server));
        self.run.settle().await;
        let passed = self.started.elapsed().as_secs();
        println!("{passed} s, {:?}", self.faults);
        self.run.assert_right().await;
    }
}

/// `EVENTFOLD_OPERATIONS=1000000` makes it long, `EVENTFOLD_SEED` makes it another one.
#[tokio::test(flavor = "multi_thread")]
async fn many_operations_under_all_faults_keep_all_promises() {
    let Some(mut field) = Field::new(variable("EVENTFOLD_SEED", 5)) else {
        return;
    };
    let operations = variable("EVENTFOLD_OPERATIONS", OPERATIONS);
    while field.operations() < operations {
        field.wait_for_more(BETWEEN.max(operations / 1_000));
        field.fail();
    }
    field.finish().await;
}

/// `EVENTFOLD_SECONDS=3600` makes it long.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_with_kills_every_few_seconds_keep_all_promises() {
    let Some(mut field) = Field::new(variable("EVENTFOLD_SEED", 6)) else {
        return;
    };
    let seconds = variable("EVENTFOLD_SECONDS", SECONDS);
    let end = field.started + Duration::from_secs(seconds);
    let mut kills = 0_u64;
    while Instant::now() < end {
        let moment = field.moment();
        for worker in &field.workers {
            worker.wait_until((Instant::now() + moment).min(end));
        }
        kills += 1;
        if kills.is_multiple_of(4) {
            field.server.kill();
            field.server.run(&[]);
        } else {
            field.kill_process(usize::try_from(kills).unwrap() % PROCESSES);
        }
    }
    field.faults.insert("kills", kills);
    field.finish().await;
}
