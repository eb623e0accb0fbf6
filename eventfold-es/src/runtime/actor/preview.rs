//! What a command would lead to: it is decided on the head, and the head is put back as it was.

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandContext;
use crate::error::{ExecuteError, Panic, guarded};
use crate::ids::Version;
use crate::runtime::actor::decide::Decided;
use crate::runtime::actor::{Actor, Reply};
use crate::runtime::committed::Preview;
use crate::runtime::inside;
use crate::storage::commit::Done;

type Outcome<A> = Result<Preview<A>, ExecuteError<<A as Aggregate>::Error>>;

impl<A: Aggregate> Actor<A> {
    /// Answers with what the command would lead to, once the head is durable.
    pub(crate) async fn preview(
        &mut self,
        command: A::Command,
        context: &CommandContext,
        reply: Reply<Preview<A>, ExecuteError<A::Error>>,
    ) {
        let current = match self.current().await {
            Ok(current) => current,
            Err(error) => return reply.send(Err(error.into())),
        };
        let (decided, state, version) = {
            let (aggregate_type, id) = (A::AGGREGATE_TYPE, self.stream.id().id());
            let _span = tracing::info_span!("preview", aggregate_type, id).entered();
            let own = inside::Aggregate::of(self.stream.id());
            match own.run(|| self.decide_and_go_back(command, context)) {
                Ok(decided) => decided,
                Err(error) => return reply.send(Err(error)),
            }
        };
        let preview = |events, repeated| Preview {
            events,
            version: Version::new(version),
            state,
            repeated,
        };
        let result: Outcome<A> = match decided {
            Decided::Store(events, ..) => Ok(preview(events, false)),
            Decided::Answer(result) => result.map(|()| preview(Vec::new(), false)),
            Decided::Panicked(panic) => Err(ExecuteError::Panicked(panic)),
            Decided::Repeat(known) => {
                let earlier = self.repeat(&known).await;
                return reply.send(earlier.map(|earlier| Preview {
                    version: earlier.version,
                    ..preview(earlier.events, true)
                }));
            }
        };
        let done: Done = Box::new(move |durable| {
            reply.send(match durable {
                Ok(_) => result,
                Err(error) => Err(error.into()),
            });
        });
        self.when_current(current, done);
    }

    /// Decides the command, and puts the head back. Returns the state and the version after the
    /// command too.
    fn decide_and_go_back(
        &mut self,
        command: A::Command,
        context: &CommandContext,
    ) -> Result<(Decided<A>, A, u64), ExecuteError<A::Error>> {
        let Some(head) = &mut self.head else {
            return Err(ExecuteError::ActorGone);
        };
        let before = guarded(|| head.state.clone()).map_err(|panic| {
            ExecuteError::Panicked(Panic::new("clone", self.stream.id(), &*panic))
        })?;
        let version = head.version;
        // Without them, no ids are added.
        let ids = head.event_ids.take();
        let decided = self.decide(command, context, self.clock.now_ms());
        let Some(head) = &mut self.head else {
            return Err(ExecuteError::ActorGone);
        };
        head.event_ids = ids;
        let after = std::mem::replace(&mut head.state, before);
        let version = std::mem::replace(&mut head.version, version);
        Ok((decided, after, version))
    }
}
