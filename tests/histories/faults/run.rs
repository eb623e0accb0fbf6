//! A run: processes that work on one store, and the check of what they did.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use eventfold_es::{Position, Query, Running};
use histories::{Element, History, Report, Stored, check, digest};

use crate::copies::Copies;
use crate::domain::{Appended, COPIED_TAG, COPY, Marked, ORIGINAL, SECOND_COPY};
use crate::postgres::Server;
use crate::worker::{LEASE_TTL, Place, TASK, Task, number};

/// How long anything may take before a test calls it hung.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The processes that work, or have worked, on one store.
pub(crate) struct Run {
    dir: tempfile::TempDir,
    place: Place,
    /// What the processes do, but for their numbers.
    task: Task,
    started: u64,
    /// The histories of processes that have ended.
    histories: Vec<PathBuf>,
    /// What projections had at the end of a process.
    everything: Vec<(u64, u64)>,
    /// How calls failed, as processes said in the end.
    pub(crate) failures: Vec<String>,
    /// Words in front of the program of each process.
    pub(crate) within: Vec<String>,
    pub(crate) kills: u64,
}

/// A process that works.
pub(crate) struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    history: PathBuf,
    /// How many operations it says that it has done.
    did: AtomicU64,
}

impl Run {
    pub(crate) fn new(place: Place) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let task = Task {
            place: place.clone(),
            history: PathBuf::new(),
            process: 0,
            clients: 8,
            lists: 6,
            operations: None,
            command_timeout: Duration::from_secs(30),
            copies: false,
            hours_ahead: 0,
        };
        Self {
            dir,
            place,
            task,
            started: 0,
            histories: Vec::new(),
            everything: Vec::new(),
            failures: Vec::new(),
            within: Vec::new(),
            kills: 0,
        }
    }

    /// On a schema of the server.
    pub(crate) fn on(server: &Server) -> Self {
        Self::at(server.url())
    }

    /// On a schema of the server with this URL.
    pub(crate) fn at(url: String) -> Self {
        let schema = "orders".to_owned();
        Self::new(Place::Postgres { url, schema })
    }

    /// Changes what the next processes do.
    pub(crate) fn set(&mut self, set: impl FnOnce(&mut Task)) {
        set(&mut self.task);
    }

    /// Starts a process, and waits until it has opened the store.
    pub(crate) fn start(&mut self) -> Worker {
        let worker = self.spawn();
        worker.wait_for("open");
        worker
    }

    /// Starts a process.
    pub(crate) fn spawn(&mut self) -> Worker {
        self.started += 1;
        let history = self.dir.path().join(format!("process-{}", self.started));
        let task = Task {
            history: history.clone(),
            process: self.started,
            ..self.task.clone()
        };
        let program = std::env::current_exe().unwrap();
        let mut words = self.within.iter();
        let mut command = match words.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(program);
                command
            }
            None => Command::new(program),
        };
        let mut child = command
            .args(["--exact", "works", "--ignored", "--nocapture"])
            .env(TASK, serde_json::to_string(&task).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            while output.read_line(&mut line).is_ok_and(|length| length > 0) {
                if let Some((_, said)) = line.split_once("said: ") {
                    // Whoever stopped listening wants to know nothing more.
                    let _ = tell.send(said.trim_end().to_owned());
                }
                line.clear();
            }
        });
        Worker {
            child,
            input,
            lines,
            history,
            did: AtomicU64::new(0),
        }
    }

    /// Kills a process as `kill -9` does.
    pub(crate) fn kill(&mut self, mut worker: Worker) {
        self.kills += 1;
        worker.kill();
        self.histories.push(worker.history.clone());
    }

    /// Lets a process end what it is doing, and waits for its end.
    pub(crate) fn finish(&mut self, worker: Worker) {
        self.finish_all([worker]);
    }

    /// Lets processes end what they are doing, and waits for their ends.
    pub(crate) fn finish_all(&mut self, workers: impl IntoIterator<Item = Worker>) {
        let mut workers: Vec<_> = workers.into_iter().collect();
        for worker in &mut workers {
            worker.input = None;
        }
        for mut worker in workers {
            while let Some(said) = worker.hear() {
                if let Some(counts) = said.strip_prefix("everything ") {
                    let (length, digest) = counts.split_once(' ').unwrap();
                    let counts = (length.parse().unwrap(), digest.parse().unwrap());
                    self.everything.push(counts);
                } else if said != "closed" && !said.starts_with("did ") {
                    // In none of the runs the server loses what it has answered.
                    assert!(!said.contains("store again"), "{said}");
                    println!("a process said: {said}");
                    self.failures.push(said);
                }
            }
            assert!(worker.child.wait().unwrap().success());
            self.histories.push(worker.history.clone());
        }
    }

    /// Reads what is stored from there.
    pub(crate) fn look_at(&mut self, place: Place) {
        self.place = place;
    }

    /// Reads what is stored, and compares it with what was answered.
    pub(crate) async fn check(&mut self) -> Report {
        let mut history = History::default();
        for path in &self.histories {
            let name = path.file_name().unwrap().to_str().unwrap();
            let file = BufReader::new(File::open(path).unwrap());
            history.add(name, file).unwrap();
        }
        let stored = self.stored(&mut history).await;
        let report = check(&history, &stored);
        println!("{report}, kills {}", self.kills);
        report
    }

    /// Compares what is stored with what was answered. Keeps the histories if they do not agree.
    pub(crate) async fn assert_right(&mut self) -> Report {
        let report = self.check().await;
        if report.violations > 0 {
            let copy = std::env::temp_dir().join(format!("histories-{}", std::process::id()));
            println!("the histories are in {}", copy.display());
            std::fs::create_dir_all(&copy).unwrap();
            for path in &self.histories {
                std::fs::copy(path, copy.join(path.file_name().unwrap())).unwrap();
            }
        }
        report.assert_right();
        report
    }

    /// As [`check`](Self::check), where the store lacks what projections had.
    pub(crate) async fn check_without_projections(&mut self) -> Report {
        self.everything.clear();
        self.check().await
    }

    async fn stored(&self, history: &mut History) -> Vec<Stored> {
        let store = self.place.builder().lock_timeout(DEADLINE);
        let store = store.open().await.unwrap();
        let mut all = Vec::new();
        let mut copies = Copies::default();
        // What the projection has after each element of a list.
        let mut everything = vec![0];
        let mut after = Position::default();
        loop {
            let found = store.query(Query::all()).after(after).limit(10_000);
            let found = found.read().await.unwrap();
            let Some(newest) = found.events.last() else {
                break;
            };
            after = newest.position();
            for event in &found.events {
                let position = number(event.position());
                if event.name() == "Marked" {
                    let marked: Marked = serde_json::from_str(event.data()).unwrap();
                    if marked.left == COPIED_TAG {
                        copies.tagged.push(marked.element);
                        continue;
                    }
                    let left = history.list(&format!("left-{}", marked.left));
                    let right = history.list(&format!("right-{}", marked.right));
                    all.push(Stored {
                        position,
                        element: marked.element,
                        lists: vec![
                            (left, None, Some(marked.left_basis)),
                            (right, None, Some(marked.right_basis)),
                        ],
                    });
                    continue;
                }
                let appended: Appended = serde_json::from_str(event.data()).unwrap();
                let element: Element = appended.element;
                everything.push(digest(everything[everything.len() - 1], element));
                match event.id() {
                    COPY => {
                        copies.first.push(element);
                        continue;
                    }
                    SECOND_COPY => {
                        copies.second.push(element);
                        continue;
                    }
                    ORIGINAL => copies.originals.push(element),
                    _ => {}
                }
                let list = history.list(event.id());
                all.push(Stored {
                    position,
                    element,
                    lists: vec![(list, Some(event.version().into()), Some(appended.basis))],
                });
            }
        }
        assert_eq!(store.head(), after);
        store.shutdown().await.unwrap();
        for (length, digest) in &self.everything {
            let stored = everything[usize::try_from(*length).unwrap()];
            assert_eq!(
                *digest, stored,
                "a projection of {length} elements had others"
            );
        }
        if self.task.copies {
            println!("{copies}");
            copies.assert_right();
        }
        all
    }

    /// Lets the process manager do what is left, in a process of its own.
    pub(crate) async fn settle(&self) {
        if !self.task.copies {
            return;
        }
        let store = self.place.builder().lock_timeout(DEADLINE);
        let store = store
            .process_manager::<crate::domain::Copying>()
            .decision::<crate::domain::Marking>()
            .lease_ttl(LEASE_TTL);
        let store = store.aggregate_type::<crate::domain::List>();
        let store = store.open().await.unwrap();
        let started = Instant::now();
        loop {
            if store.run_process_managers().await.unwrap().dispatched > 0 {
                continue;
            }
            // A process that was killed still has the lease for a while.
            let status = store.read_side();
            let mut managers = status.process_managers.iter();
            if !managers.any(|manager| manager.follower.running == Running::StandingBy) {
                break;
            }
            assert!(started.elapsed() < DEADLINE, "nobody runs it: {status:?}");
            tokio::time::sleep(LEASE_TTL / 10).await;
        }
        store.shutdown().await.unwrap();
    }
}

impl Worker {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How many operations it says that it has done.
    pub(crate) fn did(&self) -> u64 {
        self.did.load(Ordering::Relaxed)
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The next line that it says, `None` at its end.
    fn hear(&self) -> Option<String> {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(said) => Some(said),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("a process hangs: {}", self.child.id()),
        }
    }

    fn wait_for(&self, line: &str) {
        while let Some(said) = self.hear() {
            if said == line {
                return;
            }
        }
        panic!("a process never said {line:?}");
    }

    /// Waits until it has done so many more operations. Returns whether it has not ended before.
    pub(crate) fn wait_for_more(&self, operations: u64) -> bool {
        let enough = self.did.load(Ordering::Relaxed) + operations;
        while self.did.load(Ordering::Relaxed) < enough {
            let Some(said) = self.hear() else {
                return false;
            };
            self.note(&said);
        }
        true
    }

    fn note(&self, said: &str) {
        if let Some(did) = said.strip_prefix("did ") {
            let did = did.parse().unwrap();
            self.did.fetch_max(did, Ordering::Relaxed);
        }
    }

    /// Waits until this moment, or until it ends.
    pub(crate) fn wait_until(&self, end: Instant) {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(said) => self.note(&said),
                Err(_) => return,
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The schema that runs are on, reached without anything between.
pub(crate) fn orders(server: &Server) -> Place {
    Place::Postgres {
        url: server.url(),
        schema: "orders".to_owned(),
    }
}

/// Whether this process is root's. Some faults need that.
pub(crate) fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

/// Sends a signal to a process.
pub(crate) fn signal(signal: &str, process: u32) {
    let mut kill = Command::new("kill");
    let kill = kill.arg(format!("-{signal}")).arg(process.to_string());
    assert!(kill.status().unwrap().success());
}
