//! The check is seen to fail, on a history with each fault.

use std::time::Instant;

use super::*;

/// The history, as one process wrote it.
fn history(lines: &str) -> History {
    let mut history = History::default();
    history.add("p", lines.as_bytes()).unwrap();
    history
}

/// What is stored: at each position an element, in these lists.
fn stored(history: &mut History, elements: &[(u64, Element, &str)]) -> Vec<Stored> {
    let elements = elements.iter().map(|(position, element, lists)| Stored {
        position: *position,
        element: *element,
        lists: lists
            .split('+')
            .map(|name| (history.list(name), None, None))
            .collect(),
    });
    elements.collect()
}

fn run(lines: &str, elements: &[(u64, Element, &str)]) -> Report {
    let mut history = history(lines);
    let stored = stored(&mut history, elements);
    check(&history, &stored)
}

/// The kinds of what is wrong.
fn faults(lines: &str, elements: &[(u64, Element, &str)]) -> Vec<Fault> {
    let report = run(lines, elements);
    assert_eq!(report.violations, report.explained.len() as u64);
    let faults = report.explained.iter().map(|violation| violation.fault);
    faults.collect()
}

/// The digest of these elements in hexadecimal digits.
fn hex(elements: &[Element]) -> String {
    format!("{:x}", elements.iter().fold(0, |d, e| digest(d, *e)))
}

#[test]
fn a_right_history_has_no_violation() {
    let (two, three) = (hex(&[1, 2]), hex(&[1, 2, 4]));
    let lines = format!(
        "0 10 begin 1 append a:1,2 b:3\n0 20 stored 3 2 1\n\
         1 21 begin 1 read a b\n\
         2 22 begin 2 append a:4\n2 30 stored 4 3\n\
         1 40 seen a=2:{two} b=1\n\
         3 41 begin 1 append a:5\n3 45 seen a=3:{three}\n\
         4 50 begin 1 append a:6\n4 55 unknown\n\
         5 56 begin 1 append a+c:7\n\
         6 60 begin 1 append b:8\n6 61 nothing\n\
         7 70 begin 1 glance a\n7 80 seen a=3\n\
         8 90 begin 1 rea"
    );
    let elements = [
        (1, 1, "a"),
        (2, 2, "a"),
        (3, 3, "b"),
        (4, 4, "a"),
        (5, 7, "a+c"),
    ];
    let report = run(&lines, &elements);
    report.assert_right();
    let counts = (report.operations, report.stored, report.not_stored);
    assert_eq!(counts, (8, 2, 2));
    let counts = (report.unknown, report.unknown_stored, report.reads);
    assert_eq!(counts, (2, 1, 4));
}

#[test]
fn an_answered_element_that_is_not_stored_is_lost() {
    let lines =
        "0 10 begin 1 append a:1\n0 20 stored 1 1\n1 30 begin 1 append a:2\n1 40 stored 2 2\n";
    let report = run(lines, &[(1, 1, "a")]);
    assert_eq!(report.explained[0].fault, Fault::Lost);
    assert_eq!(
        report.explained[0].to_string(),
        "Lost: operation 1 of client 1 in `p` (append [2] to a; from 30 to 40 ns) was told that it is \
         stored up to position 2, and element 2 is not there; 0 of its 1 elements are, and the newest \
         of all is at position 1"
    );
}

#[test]
fn an_element_that_is_stored_twice_is_doubled() {
    let answered = "0 10 begin 1 append a:1\n0 20 stored 2 2\n";
    let twice = [(1, 1, "a"), (2, 1, "a")];
    assert_eq!(faults(answered, &twice), [Fault::Doubled]);
    let unknown = "0 10 begin 1 append a:1\n";
    assert_eq!(faults(unknown, &twice), [Fault::Doubled]);
}

#[test]
fn a_read_that_misses_what_was_answered_before_is_stale() {
    let missed = "0 10 begin 1 append a:1\n0 20 stored 1 1\n1 21 begin 2 read a\n1 30 seen a=0:0\n";
    let report = run(missed, &[(1, 1, "a")]);
    assert_eq!(
        report.explained[0].to_string(),
        "Stale: operation 0 of client 1 in `p` (append [1] to a; from 10 to 20 ns) was stored at \
         position 1. 1 ns later operation 1 of client 2 in `p` (read a; from 21 to 30 ns) began, and \
         was told a state without position 1"
    );
    // At the same time it need not be seen, and may be.
    let overlapping = missed.replace("1 21", "1 20");
    run(&overlapping, &[(1, 1, "a")]).assert_right();
    // Refusals and commands without events are reads.
    let refused = missed.replace("read a", "append a:2");
    assert_eq!(faults(&refused, &[(1, 1, "a")]), [Fault::Stale]);
}

#[test]
fn a_read_that_misses_what_another_read_saw_is_stale() {
    let lines = "0 10 begin 1 append a:1\n1 21 begin 2 read a\n1 30 seen a=1\n\
                 2 31 begin 3 read a\n2 40 seen a=0\n0 50 stored 1 1\n";
    assert_eq!(faults(lines, &[(1, 1, "a")]), [Fault::Stale]);
}

#[test]
fn a_glance_may_miss_what_others_did_and_nothing_that_its_own_process_was_told() {
    let elements = &[(1, 1, "a"), (2, 2, "a")];
    let other =
        "0 10 begin 1 append a:1\n0 20 stored 1 1\n1 30 begin 1 append a:2\n1 40 stored 2 2\n";
    let of_both = |own: &str| {
        let mut history = History::default();
        history.add("p", other.as_bytes()).unwrap();
        history.add("q", own.as_bytes()).unwrap();
        let mut elements = elements.to_vec();
        if own.contains("b:3") {
            elements.push((3, 3, "b"));
        }
        let stored = stored(&mut history, &elements);
        let report = check(&history, &stored);
        let faults = report.explained.iter().map(|violation| violation.fault);
        faults.collect::<Vec<_>>()
    };
    let glance = |time: u64, length| {
        let end = time + 5;
        format!("{time} {time} begin 1 glance a\n{time} {end} seen a={length}\n")
    };
    let read = "60 60 begin 1 read a\n60 65 seen a=2\n";
    assert_eq!(of_both(&(glance(50, 0) + &glance(56, 1))), []);
    // Another list is no reason to know more of this one.
    let of_another = "51 51 begin 1 append b:3\n51 55 stored 3 1\n";
    assert_eq!(of_both(&(of_another.to_owned() + &glance(70, 0))), []);
    assert_eq!(of_both(&(read.to_owned() + &glance(70, 2))), []);
    assert_eq!(of_both(&(read.to_owned() + &glance(70, 1))), [Fault::Stale]);
    assert_eq!(of_both(&(glance(50, 2) + &glance(70, 1))), [Fault::Stale]);
    // What it saw must have been stored: here it is asked for later.
    assert_eq!(of_both(&glance(22, 2)), [Fault::Reordered]);
    assert_eq!(of_both(&glance(50, 3)), [Fault::Unreal]);
    let own = "0 10 begin 1 append a:1\n0 20 stored 1 1\n1 30 begin 1 glance a\n1 40 seen a=0";
    assert_eq!(faults(&format!("{own}\n"), &[(1, 1, "a")]), [Fault::Stale]);
}

#[test]
fn a_read_before_the_append_that_it_saw_is_found() {
    let lines = "0 10 begin 1 read a\n0 20 seen a=1\n1 30 begin 1 append a:1\n1 40 stored 1 1\n";
    assert_eq!(faults(lines, &[(1, 1, "a")]), [Fault::Reordered]);
}

#[test]
fn elements_in_another_order_than_that_of_their_answers_are_reordered() {
    let lines =
        "0 10 begin 1 append a:1\n0 20 stored 2 2\n1 30 begin 2 append a:2\n1 40 stored 1 1\n";
    let swapped = [(1, 2, "a"), (2, 1, "a")];
    assert_eq!(faults(lines, &swapped), [Fault::Reordered]);
    // In different lists too.
    let lists = [(1, 2, "b"), (2, 1, "a")];
    let lines = lines.replace("a:2", "b:2").replace("2 2\n", "2 1\n");
    assert_eq!(faults(&lines, &lists), [Fault::Reordered]);
    // One without an answer must come after what was answered before it began.
    let unknown = lines.replace("1 40 stored 1 1\n", "");
    assert_eq!(faults(&unknown, &lists), [Fault::Reordered]);
    let within = "0 10 begin 1 append a:1,2\n0 20 stored 2 2\n";
    assert_eq!(
        faults(within, &[(1, 2, "a"), (2, 1, "a")]),
        [Fault::Reordered]
    );
}

#[test]
fn a_wrong_version_or_position_in_an_answer_is_found() {
    let right = "0 10 begin 1 append a:1\n0 20 stored 1 1\n";
    run(right, &[(1, 1, "a")]).assert_right();
    for wrong in ["stored 1 2", "stored 2 1"] {
        let lines = right.replace("stored 1 1", wrong);
        assert_eq!(faults(&lines, &[(1, 1, "a")]), [Fault::WrongPlace]);
    }
    assert_eq!(faults(right, &[(1, 1, "b")]), [Fault::WrongPlace]);
}

#[test]
fn an_element_of_an_operation_that_stored_nothing_is_a_phantom() {
    for outcome in ["nothing", "seen a=0:0"] {
        let lines = format!("0 10 begin 1 append a:1\n0 20 {outcome}\n");
        assert_eq!(faults(&lines, &[(1, 1, "a")]), [Fault::Phantom]);
    }
    assert_eq!(faults("", &[(1, 1, "a")]), [Fault::Phantom]);
}

#[test]
fn an_operation_that_is_stored_in_part_is_torn() {
    let lines = "0 10 begin 1 append a:1,2\n";
    assert_eq!(faults(lines, &[(1, 1, "a")]), [Fault::Torn]);
    let between = format!("{lines}1 10 begin 1 append b:3\n");
    let elements = [(1, 1, "a"), (2, 3, "b"), (3, 2, "a")];
    assert_eq!(faults(&between, &elements), [Fault::Torn]);
    let read = format!("{lines}1 10 begin 2 read a\n1 20 seen a=1\n");
    assert_eq!(faults(&read, &[(1, 1, "a"), (2, 2, "a")]), [Fault::Torn]);
    let group = "0 10 begin 1 append a:1 b:2\n1 10 begin 2 read a b\n1 20 seen a=1 b=0\n";
    assert_eq!(faults(group, &[(1, 1, "a"), (2, 2, "b")]), [Fault::Torn]);
}

#[test]
fn a_read_of_what_is_not_stored_is_unreal() {
    let seen = |seen: &str| {
        let lines = format!("0 10 begin 1 append a:1\n1 10 begin 2 read a\n1 20 seen a={seen}\n");
        faults(&lines, &[(1, 1, "a")])
    };
    assert_eq!(seen("2"), [Fault::Unreal]);
    assert_eq!(seen("1:77"), [Fault::Unreal]);
    assert_eq!(seen(&format!("1:{}", hex(&[1]))), []);
}

#[test]
fn an_element_that_was_decided_on_an_older_state_is_found() {
    let lines = "0 10 begin 1 append a:1\n1 10 begin 1 append a:2\n";
    let mut history = history(lines);
    let mut stored = stored(&mut history, &[(1, 1, "a"), (2, 2, "a")]);
    stored[1].lists[0].2 = Some(digest(0, 1));
    check(&history, &stored).assert_right();
    stored[1].lists[0].2 = Some(0);
    let report = check(&history, &stored);
    assert_eq!(report.explained[0].fault, Fault::WrongBasis);
}

#[test]
fn positions_and_versions_that_do_not_increase_are_found() {
    let lines = "0 10 begin 1 append a:1\n1 10 begin 1 append a:2\n";
    let mut history = history(lines);
    let mut stored = stored(&mut history, &[(2, 1, "a"), (2, 2, "a")]);
    assert_eq!(
        check(&history, &stored).explained[0].fault,
        Fault::WrongOrder
    );
    stored[1].position = 3;
    stored[1].lists[0].1 = Some(3);
    assert_eq!(
        check(&history, &stored).explained[0].fault,
        Fault::WrongOrder
    );
}

#[test]
fn a_line_that_is_none_of_a_history_is_refused_with_its_number() {
    let mut history = History::default();
    let lines = "0 10 begin 1 read a\n0 20 sen a=1\n";
    let error = history.add("p", lines.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("line 2 of `p`"), "{error}");
}

/// How many operations the check of its own speed has. `EVENTFOLD_OPERATIONS` says otherwise.
const OPERATIONS: u64 = 20_000;

#[test]
fn the_check_takes_time_in_proportion_to_the_operations() {
    let count = std::env::var("EVENTFOLD_OPERATIONS");
    let count = count.map_or(OPERATIONS, |count| count.parse().unwrap());
    let (mut lines, mut lengths, mut digests) = (String::new(), [0; 15], [0; 15]);
    let mut elements = Vec::new();
    for number in 0..count {
        let time = 10 * number;
        // Eight clients overlap.
        let (list, end) = ((number % 15) as usize, time + 75);
        let name = format!("l-{list}");
        let line = if number % 4 == 3 {
            // A list in which nothing is under way.
            let (length, digest) = (lengths[list], digests[list]);
            format!(
                "{number} {time} begin 1 read {name}\n{number} {end} seen {name}={length}:{digest:x}\n"
            )
        } else {
            lengths[list] += 1;
            digests[list] = digest(digests[list], number);
            let position = elements.len() as u64 + 1;
            elements.push((position, number, name.clone()));
            let length = lengths[list];
            format!(
                "{number} {time} begin 1 append {name}:{number}\n{number} {end} stored {position} {length}\n"
            )
        };
        lines.push_str(&line);
    }
    let started = Instant::now();
    let mut history = history(&lines);
    let elements: Vec<_> = elements
        .iter()
        .map(|(position, element, name)| (*position, *element, &**name))
        .collect();
    let stored = stored(&mut history, &elements);
    let report = check(&history, &stored);
    report.assert_right();
    assert_eq!(report.operations, count);
    println!("{report}, checked in {:?}", started.elapsed());
}
