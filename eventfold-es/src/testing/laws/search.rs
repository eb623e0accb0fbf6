//! The search for a history that breaks a law.

use crate::domain::aggregate::Aggregate;
use crate::testing::form::Form;
use crate::testing::laws::history::{Broken, Failure, Folded, Histories, Law, Step};

/// How many histories are tried at most to have all orders up to some length.
const ORDERS: usize = 5_000;
/// The length of the longest of them.
const LONGEST_ORDER: u32 = 5;
/// How many random histories are tried, and how long they are.
const WALKS: usize = 100;
const WALK: usize = 30;

/// Fails with the shortest history that was found to break a law.
pub(super) fn search<A: Aggregate>(histories: &Histories<A>, seed: u64) -> Result<(), Broken> {
    let steps = histories.steps();
    // Whether the state took the event in any order.
    let mut taken = vec![false; histories.events.len()];
    let mut impossible = vec![None; histories.events.len()];

    histories.run(&[])?;
    let mut possible = vec![Vec::new()];
    let mut tried = 0;
    for _ in 0..LONGEST_ORDER {
        tried += possible.len() * steps.len();
        if tried > ORDERS && possible.len() > 1 {
            break;
        }
        let mut longer = Vec::new();
        for history in &possible {
            for step in &steps {
                let mut history = history.clone();
                history.push(*step);
                match histories.run(&history) {
                    Ok(()) => {
                        note(&mut taken, *step);
                        longer.push(history);
                    }
                    // Only what the state takes is gone on with.
                    Err(broken) if broken.is_impossible => {
                        if let Step::Event(event) = *step {
                            impossible[event].get_or_insert(broken.what);
                        }
                    }
                    Err(broken) => return Err(broken),
                }
            }
        }
        possible = longer;
    }

    let mut random = random(seed);
    for _ in 0..WALKS {
        let (mut history, mut folded) = (Vec::new(), Folded::default());
        for _ in 0..WALK {
            let step = steps[usize::try_from(random() % steps.len() as u64).unwrap_or(0)];
            history.push(step);
            let is_given = history.iter().any(|step| matches!(step, Step::Event(_)));
            match histories.add(&mut folded, step) {
                Ok(()) => note(&mut taken, step),
                // Such a step is left out.
                Err((Law::Evolve, _)) if is_given => drop(history.pop()),
                Err(failure) => return Err(shortest(histories, history, failure)),
            }
        }
        if let Err(failure) = histories.check(&folded) {
            return Err(shortest(histories, history, failure));
        }
    }

    for (event, is_taken) in taken.iter().enumerate() {
        if !is_taken {
            let form = Form::of::<A>(&histories.events[event]);
            let name = form.map_or_else(|error| error, |form| form.name);
            let panic = impossible[event].take().unwrap_or_default();
            return Err(Broken {
                law: Law::Evolve,
                history: Vec::new(),
                what: format!(
                    "no order of the events was found in which the state takes `{name}`: {panic}\n\
                     give further events that may come before it, with `.event(...)`"
                ),
                is_impossible: true,
            });
        }
    }
    Ok(())
}

fn note(taken: &mut [bool], step: Step) {
    if let Step::Event(event) = step {
        taken[event] = true;
    }
}

/// The history without all steps that the law's failure does not need.
fn shortest<A: Aggregate>(
    histories: &Histories<A>,
    history: Vec<Step>,
    (law, what): Failure,
) -> Broken {
    let mut broken = Broken {
        law,
        history,
        what,
        is_impossible: false,
    };
    let mut at = broken.history.len();
    while at > 0 {
        at -= 1;
        let mut shorter = broken.history.clone();
        shorter.remove(at);
        if let Err(again) = histories.run(&shorter)
            && again.law == broken.law
            && !again.is_impossible
        {
            broken = again;
            // What was needed before may not be needed any more.
            at = broken.history.len();
        }
    }
    broken
}

/// The deterministic pseudo-random numbers from `seed` on.
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}
