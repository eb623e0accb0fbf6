//! The projections, followers and process managers of a store, live or as they were saved: [`ReadSideView`].

use std::io;

use crate::console::source::Source;
use crate::domain::process_manager::DeadLetter;
use crate::following::saved::{self, SavedCommand, SavedFollower, SavedProcessManager, SavedTimer};
use crate::following::{FollowerStatus, Running, SkippedEvent};
use crate::storage::record_name::Follower;

pub(crate) struct ReadSideView {
    pub(crate) projections: Vec<FollowerView>,
    /// What is fed outside of the store. Only an open store knows them.
    pub(crate) followers: Vec<FollowerView>,
    pub(crate) managers: Vec<ManagerView>,
}

/// A projection or a follower, or the part of a process manager that is the same.
pub(crate) struct FollowerView {
    pub(crate) name: String,
    /// Of a projection, where it is known.
    pub(crate) version: Option<u32>,
    pub(crate) position: u64,
    pub(crate) lag: u64,
    /// `None`: only what it saved is known.
    pub(crate) running: Option<Running>,
    /// The process that runs it, if it is another one.
    pub(crate) elsewhere: Option<String>,
    /// The last error, or why its checkpoint cannot be used.
    pub(crate) error: Option<String>,
    pub(crate) skipped_count: u64,
    pub(crate) skipped: Vec<SkippedEvent>,
    /// The events that it left out because their names are unknown.
    pub(crate) unknown: Vec<(String, String)>,
    /// The size of its checkpoint.
    pub(crate) bytes: Option<u64>,
}

pub(crate) struct ManagerView {
    pub(crate) follower: FollowerView,
    /// Whether the program that has the store open runs it. Without an open store it is not known.
    pub(crate) is_registered: bool,
    /// As they were last saved.
    pub(crate) outbox: Vec<SavedCommand>,
    pub(crate) timers: Vec<SavedTimer>,
    pub(crate) dead_letters: Vec<DeadLetter>,
    pub(crate) unreadable: Vec<(u64, String)>,
    /// How many commands and timers there are now.
    pub(crate) outgoing: usize,
    pub(crate) set_timers: usize,
    /// Why the rest is not known.
    pub(crate) problem: Option<String>,
}

/// Reads the state of all of them. It blocks.
pub(crate) fn view(source: &Source) -> io::Result<ReadSideView> {
    match source {
        Source::Store(store) => {
            let status = store.read_side();
            let storage = &store.inner.storage;
            let head = storage.head();
            let saved = |name: &str| {
                let records = storage.records(Follower::ProcessManager, name);
                saved::process_manager(name, &records, head)
            };
            let mut managers = Vec::new();
            for live in status.process_managers {
                let name = live.follower.name;
                let follower = FollowerView::live(live.follower);
                managers.push(ManagerView::new(follower, saved(name).map_err(Into::into)));
                if let Some(manager) = managers.last_mut() {
                    manager.outgoing = live.outgoing;
                    manager.set_timers = live.timers;
                }
            }
            for name in storage.followers(Follower::ProcessManager)? {
                if managers.iter().any(|known| known.follower.name == name) {
                    continue;
                }
                let saved = saved(&name)?;
                let follower = FollowerView::saved(&saved.follower);
                let mut manager = ManagerView::new(follower, Ok(saved));
                manager.is_registered = false;
                managers.push(manager);
            }
            let projections = status.projections.into_iter().map(FollowerView::live);
            let followers = status.followers.into_iter().map(FollowerView::live);
            Ok(ReadSideView {
                projections: projections.collect(),
                followers: followers.collect(),
                managers,
            })
        }
        Source::Directory(directory) => {
            let reader = directory.reader();
            let projections = reader.projections()?;
            let managers = reader.process_managers()?.into_iter().map(|saved| {
                let follower = FollowerView::saved(&saved.follower);
                ManagerView::new(follower, Ok(saved))
            });
            Ok(ReadSideView {
                projections: projections.iter().map(FollowerView::saved).collect(),
                followers: Vec::new(),
                managers: managers.collect(),
            })
        }
    }
}

impl FollowerView {
    fn live(status: FollowerStatus) -> Self {
        Self {
            name: status.name.to_owned(),
            version: None,
            position: status.position.get(),
            lag: status.lag,
            running: Some(status.running),
            elsewhere: (status.runner.filter(|runner| !runner.is_here))
                .map(|runner| runner.process),
            error: status.last_error,
            skipped_count: status.skipped_count,
            skipped: status.skipped,
            unknown: Vec::new(),
            bytes: None,
        }
    }

    fn saved(saved: &SavedFollower) -> Self {
        Self {
            name: saved.name.clone(),
            version: Some(saved.version),
            position: saved.position.get(),
            lag: saved.lag,
            running: None,
            elsewhere: None,
            error: saved.problem.clone(),
            skipped_count: saved.skipped.len() as u64,
            skipped: saved.skipped.clone(),
            unknown: saved.unknown.clone(),
            bytes: Some(saved.bytes),
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.running == Some(Running::Stopped)
    }
}

impl ManagerView {
    fn new(mut follower: FollowerView, saved: io::Result<SavedProcessManager>) -> Self {
        let (saved, problem) = match saved {
            Ok(saved) => (Some(saved), None),
            Err(error) => (None, Some(error.to_string())),
        };
        if let Some(saved) = &saved {
            let of = &saved.follower;
            follower.unknown.clone_from(&of.unknown);
            follower.bytes = Some(of.bytes);
            follower.error = follower.error.or_else(|| of.problem.clone());
            if follower.skipped.is_empty() {
                follower.skipped.clone_from(&of.skipped);
                follower.skipped_count = of.skipped.len() as u64;
            }
        }
        let (outbox, timers, dead_letters, unreadable) = saved
            .map_or_else(Default::default, |of| {
                (of.outbox, of.timers, of.dead_letters, of.unreadable)
            });
        Self {
            follower,
            is_registered: true,
            outgoing: outbox.len(),
            set_timers: timers.len(),
            outbox,
            timers,
            dead_letters,
            unreadable,
            problem,
        }
    }
}

impl ReadSideView {
    /// The projections and followers, each with what it is.
    pub(crate) fn followers(&self) -> impl Iterator<Item = (&FollowerView, &'static str)> {
        let projections = self.projections.iter().map(|of| (of, "projection"));
        projections.chain(self.followers.iter().map(|of| (of, "follower")))
    }

    pub(crate) fn manager(&self, name: &str) -> Option<&ManagerView> {
        self.managers.iter().find(|of| of.follower.name == name)
    }
}
