//! The committed expansions: `tests/<case>.expanded.rs` has an input and its expansion.
//!
//! After a change, `EVENTFOLD_BLESS=1 cargo test -p eventfold-es-derive` writes them again. Read
//! the difference: this is the code that users get.

use std::fmt::Write as _;
use std::path::Path;

use proc_macro2::TokenStream;
use syn::DeriveInput;

type Derive = fn(&DeriveInput) -> TokenStream;

/// Expands `input` and compares it with the committed expansion.
fn expands(case: &str, derive: Derive, input: &str) {
    let parsed: DeriveInput = syn::parse_str(input).unwrap();
    is_committed(case, input, derive(&parsed));
}

/// Expands an impl block with `#[aggregate_impl(arguments)]`, which `input` does not repeat.
fn methods_expand(case: &str, arguments: &str, input: &str) {
    let output = crate::methods(arguments.parse().unwrap(), input.parse().unwrap());
    let attribute = if arguments.is_empty() {
        "#[aggregate_impl]".to_owned()
    } else {
        format!("#[aggregate_impl({arguments})]")
    };
    is_committed(case, &format!("{attribute}{input}"), output);
}

fn is_committed(case: &str, input: &str, output: TokenStream) {
    let file = syn::parse2(output).unwrap();
    let expanded = format!(
        "{}\n// Expands to:\n\n{}",
        input.trim_start(),
        prettyplease::unparse(&file)
    );

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/tests/{case}.expanded.rs"));
    if std::env::var_os("EVENTFOLD_BLESS").is_some() {
        std::fs::write(&path, expanded).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let line = first_difference(&committed, &expanded);
    assert!(
        committed == expanded,
        "`{}` differs from line {line} on; EVENTFOLD_BLESS=1 writes it anew. Expanded:\n{expanded}",
        path.display()
    );
}

fn first_difference(a: &str, b: &str) -> usize {
    let same = a.lines().zip(b.lines()).take_while(|(a, b)| a == b);
    same.count() + 1
}

#[test]
fn generated_names_that_this_edition_reserves_are_raw_identifiers() {
    let tokens = crate::expand::generated(quote::quote!(<gen::Opened as r#loop::Trait>::async));
    assert_eq!(
        tokens.to_string(),
        "< r#gen :: Opened as r#loop :: Trait > :: r#async"
    );
}

#[test]
fn aggregate() {
    expands(
        "aggregate",
        crate::aggregate,
        r"
#[aggregate(commands(OpenAccount, Deposit), events(AccountOpened, Deposited))]
pub struct BankAccount {
    owner: Option<String>,
    balance: u64,
}
",
    );
}

#[test]
fn aggregate_with_every_option() {
    expands(
        "aggregate_with_every_option",
        crate::aggregate,
        r#"
#[aggregate(
    name = "konto",
    commands(commands::Deposit = "deposit"),
    events(self::events::Deposited),
    error = BankError<u64>,
    command_enum(name = Command, derive(Debug, PartialEq, Serialize, Deserialize)),
    event_enum(name = Event, derive(Clone, PartialEq, Serialize, Deserialize)),
    snapshot(every = 50, version = 2),
    unknown_events = "skip",
    crate = ::framework::eventfold_es,
)]
pub(crate) struct BankAccount(u64);
"#,
    );
}

#[test]
fn aggregate_with_own_enums() {
    expands(
        "aggregate_with_own_enums",
        crate::aggregate,
        r"
#[aggregate(command = CounterCommand, event = events::CounterEvent)]
struct Counter {
    value: u64,
}
",
    );
}

#[test]
fn aggregate_with_commands_that_are_not_serialised() {
    expands(
        "aggregate_with_commands_that_are_not_serialised",
        crate::aggregate,
        r"
#[aggregate(command_enum(derive(Debug)), commands(Add), event = CounterEvent)]
struct Counter(u64);
",
    );
}

#[test]
fn aggregate_with_commands_that_are_only_serialised() {
    expands(
        "aggregate_with_commands_that_are_only_serialised",
        crate::aggregate,
        r#"
#[aggregate(command_enum(derive(Serialize)), commands(Add = "add"), event = CounterEvent)]
struct Counter(u64);
"#,
    );
}

#[test]
fn aggregate_without_commands() {
    expands(
        "aggregate_without_commands",
        crate::aggregate,
        r"
#[aggregate(commands(), event = Imported)]
struct Archive;
",
    );
}

#[test]
fn aggregate_after_a_mistake() {
    expands(
        "aggregate_after_a_mistake",
        crate::aggregate,
        r"
#[aggregate(comands(Open, other::Open), event_enum(derive(Debug)), error = BankError)]
pub struct BankAccount;
",
    );
}

#[test]
fn aggregate_of_the_wrong_shape() {
    expands(
        "aggregate_of_the_wrong_shape",
        crate::aggregate,
        r"
#[aggregate(command = WalletCommand, event = WalletEvent)]
struct Wallet<'a, T: Clone, const N: usize>
where
    T: Copy,
{
    coins: [&'a T; N],
}
",
    );
}

#[test]
fn event_struct() {
    expands(
        "event_struct",
        crate::domain_event,
        r"
struct Deposited {
    amount: u64,
}
",
    );
}

#[test]
fn event_struct_with_names() {
    expands(
        "event_struct_with_names",
        crate::domain_event,
        r#"
#[event(name = "MoneyDeposited", alias = "Deposited", alias = "deposit")]
struct Deposited(u64);
"#,
    );
}

#[test]
fn event_enum() {
    expands(
        "event_enum",
        crate::domain_event,
        r"
enum CounterEvent {
    Added { amount: u64 },
    Scaled(u64),
    Reset,
}
",
    );
}

#[test]
fn event_enum_with_names() {
    expands(
        "event_enum_with_names",
        crate::domain_event,
        r#"
#[event(rename_all = "kebab-case", crate = framework::eventfold_es)]
enum CounterEvent {
    #[event(alias = "Added")]
    WasAdded { amount: u64 },
    #[event(name = "reset", alias = "Reset", alias = "cleared")]
    WasReset,
    r#Move,
}
"#,
    );
}

#[test]
fn event_struct_with_versions() {
    expands(
        "event_struct_with_versions",
        crate::domain_event,
        r#"
#[event(alias = "deposit", version = 3, upcast(2 = Self::from_v2, 1 = history::v1_to_v2))]
struct Deposited {
    cents: u64,
}
"#,
    );
}

#[test]
fn event_enum_with_versions() {
    expands(
        "event_enum_with_versions",
        crate::domain_event,
        r#"
#[event(retired("Paused", "Doubled" = doubled, history::Moved = moved))]
enum CounterEvent {
    #[event(version = 2, upcast(1 = added))]
    Added {
        amount: u64,
    },
    Reset,
}
"#,
    );
}

#[test]
fn aggregate_with_retired_events() {
    expands(
        "aggregate_with_retired_events",
        crate::aggregate,
        r#"
#[aggregate(
    commands(),
    events(Opened),
    retired("Paused", "Doubled" = doubled, history::Moved = history::moved, Old),
)]
struct Counter(u64);
"#,
    );
}

#[test]
fn event_after_a_mistake() {
    expands(
        "event_after_a_mistake",
        crate::domain_event,
        r#"
#[event(nmae = "MoneyDeposited")]
struct Deposited<T>(T);
"#,
    );
}

#[test]
fn projection() {
    expands(
        "projection",
        crate::projection,
        r"
#[projection(aggregates(BankAccount))]
pub struct Totals {
    balance: u64,
}
",
    );
}

#[test]
fn projection_of_events() {
    expands(
        "projection_of_events",
        crate::projection,
        r"
#[projection(aggregates(BankAccount), events(CourseDefined, courses::Subscribed))]
struct Courses;
",
    );
}

#[test]
fn sql_projection() {
    expands(
        "sql_projection",
        crate::sql_projection,
        r#"
#[projection(name = "orders", aggregates(Order), events(CourseDefined), version = 2)]
struct Orders;
"#,
    );
}

#[test]
fn sql_projection_after_a_mistake() {
    expands(
        "sql_projection_after_a_mistake",
        crate::sql_projection,
        r"
#[projection(subscribes(Order))]
struct Orders<T>(T);
",
    );
}

#[test]
fn process_manager_of_an_event() {
    expands(
        "process_manager_of_an_event",
        crate::process_manager,
        r#"
#[process_manager(name = "welcome", events(Subscribed), dispatches(Mailbox))]
struct Welcome;
"#,
    );
}

#[test]
fn projection_with_every_option() {
    expands(
        "projection_with_every_option",
        crate::projection,
        r#"
#[projection(
    name = "sums",
    aggregates(BankAccount, loans::Loan),
    version = 2,
    crate = ::framework::eventfold_es,
)]
pub(crate) enum Totals {
    Empty,
    Some(u64),
}
"#,
    );
}

#[test]
fn projection_after_a_mistake() {
    expands(
        "projection_after_a_mistake",
        crate::projection,
        r"
#[projection(subscribes(BankAccount), version = 0)]
struct Totals<T>(T);
",
    );
}

#[test]
fn process_manager() {
    expands(
        "process_manager",
        crate::process_manager,
        r#"
#[process_manager(name = "fulfilment", aggregates(Order, Payment), dispatches(stock::Inventory))]
struct Fulfilment;
"#,
    );
}

#[test]
fn process_manager_with_every_option() {
    expands(
        "process_manager_with_every_option",
        crate::process_manager,
        r#"
#[process_manager(
    name = "fulfilment",
    aggregates(Order),
    dispatches(Order, stock::Inventory),
    decides(Subscribing, stock::Reserving),
    on_dead_letter = Self::not_sent,
    crate = ::events
)]
struct Fulfilment;
"#,
    );
}

#[test]
fn process_manager_without_targets() {
    expands(
        "process_manager_without_targets",
        crate::process_manager,
        r"
#[process_manager(aggregates(Order))]
struct Fulfilment;
",
    );
}

#[test]
fn process_manager_after_a_mistake() {
    expands(
        "process_manager_after_a_mistake",
        crate::process_manager,
        r"
#[process_manager(dispatches(Inventory))]
struct Fulfilment;
",
    );
}

#[test]
fn event_struct_with_tags() {
    expands(
        "event_struct_with_tags",
        crate::domain_event,
        r#"
struct Transferred {
    #[tag("account")]
    from: AccountId,
    #[tag("account")]
    to: AccountId,
    #[tag]
    #[tag("label")]
    r#type: Option<String>,
    amount: u64,
}
"#,
    );
}

#[test]
fn event_struct_with_a_subject() {
    expands(
        "event_struct_with_a_subject",
        crate::domain_event,
        r"
pub struct CustomerRegistered {
    #[subject]
    pub customer: CustomerId,
    pub name: Personal<String>,
    pub email: Option<Personal<String>>,
}
",
    );
}

#[test]
fn event_struct_with_two_subjects() {
    expands(
        "event_struct_with_two_subjects",
        crate::domain_event,
        r#"
#[event(version = 2, upcast(1 = parcel_sent_1))]
pub struct ParcelSent {
    #[subject("customer")]
    pub from: CustomerId,
    #[subject("customer")]
    pub to: CustomerId,
    #[personal(from)]
    pub sender: Personal<String>,
    #[personal(to)]
    pub address: Address,
}
"#,
    );
}

#[test]
fn event_enum_with_subjects() {
    expands(
        "event_enum_with_subjects",
        crate::domain_event,
        r#"
pub enum CustomerEvent {
    Registered {
        #[subject]
        #[tag]
        customer: CustomerId,
        name: Personal<String>,
    },
    Introduced(
        #[subject("customer")] CustomerId,
        #[subject("customer")] CustomerId,
        #[personal(1)] Personal<String>,
    ),
    Left,
}
"#,
    );
}

/// Each mistake is one error, and the fallback stands in for the event.
#[test]
fn event_after_mistakes_with_subjects() {
    expands(
        "event_after_mistakes_with_subjects",
        crate::domain_event,
        r#"
#[subject]
pub enum CustomerEvent {
    Registered {
        customer: CustomerId,
        name: Personal<String>,
        emails: Vec<Personal<String>>,
    },
    Recommended {
        #[subject("customer")]
        by: CustomerId,
        #[subject = "customer"]
        friend: CustomerId,
        #[personal(friend)]
        friend_name: Personal<String>,
        by_name: Personal<String>,
    },
    Renamed {
        #[subject]
        #[subject("person")]
        customer: CustomerId,
        age: u8,
        #[personal(age)]
        name: Personal<String>,
        #[personal]
        email: Personal<String>,
    },
    #[personal(customer)]
    Left(#[subject] CustomerId, #[subject("a:b")] u8),
}
"#,
    );
}

#[test]
fn event_enum_with_tags() {
    expands(
        "event_enum_with_tags",
        crate::domain_event,
        r#"
enum CourseEvent {
    Subscribed {
        #[tag]
        course: CourseId,
        #[tag]
        students: Vec<StudentId>,
    },
    Renamed(#[tag("course")] CourseId, String),
    Closed,
}
"#,
    );
}

#[test]
fn decision() {
    expands(
        "decision",
        crate::decision,
        r"
#[decision(command = Subscribe, events(Subscribed), error = SubscribeError)]
struct Subscribing {
    #[model(course)]
    seats: Seats,
    #[model(student)]
    load: Load,
}
",
    );
}

#[test]
fn decision_with_every_option() {
    expands(
        "decision_with_every_option",
        crate::decision,
        r#"
#[decision(
    name = "change",
    command = commands::Change<u64>,
    event = CourseEvent,
    crate = ::framework::eventfold_es,
)]
pub(crate) struct Changing(
    #[model("course-id" = change.course, student = 0)] models::Both,
    #[model] All,
);
"#,
    );
}

#[test]
fn decision_after_a_mistake() {
    expands(
        "decision_after_a_mistake",
        crate::decision,
        r"
#[decision(comand = Subscribe, events(Subscribed, other::Subscribed))]
struct Subscribing {
    #[model(course.id)]
    seats: Seats,
    load: Load,
}
",
    );
}

#[test]
fn decision_model() {
    expands(
        "decision_model",
        crate::decision_model,
        r#"
#[decision_model(tag = "course", events(CourseDefined, events::Subscribed))]
struct Seats {
    capacity: u32,
    taken: u32,
}
"#,
    );
}

#[test]
fn decision_model_with_every_option() {
    expands(
        "decision_model_with_every_option",
        crate::decision_model,
        r#"
#[decision_model(tags("course", "student"), events(Subscribed), crate = ::framework::eventfold_es)]
enum Seat {
    Free,
    Taken,
}
"#,
    );
}

#[test]
fn decision_model_of_an_aggregate() {
    expands(
        "decision_model_of_an_aggregate",
        crate::decision_model,
        r"
#[decision_model(aggregate = bank::Account, events(Deposited))]
struct Balance(u64);
",
    );
}

#[test]
fn decision_model_without_tags() {
    expands(
        "decision_model_without_tags",
        crate::decision_model,
        r"
#[decision_model(events(InvoiceNumbered))]
struct LastNumber(u64);
",
    );
}

#[test]
fn decision_model_after_a_mistake() {
    expands(
        "decision_model_after_a_mistake",
        crate::decision_model,
        r#"
#[decision_model(tag = "course:", tags("student"), event(Subscribed))]
struct Seats<T>(T);
"#,
    );
}

#[test]
fn methods() {
    methods_expand(
        "methods",
        "",
        r#"
impl BankAccount {
    const LIMIT: u64 = { 1_000 };

    /// Opens it.
    pub fn open(&self, command: OpenAccount) -> Decision<Self> {
        Ok(events![AccountOpened { owner: command.owner }])
    }

    fn opened(&mut self, event: &AccountOpened) {
        self.owner = Some(event.owner.clone());
    }

    #[cfg(feature = "deposits")]
    #[inline]
    fn deposit(&self, _: commands::Deposit, context: &DecisionContext<'_>) -> Result<Vec<BankAccountEvent>, BankError> {
        self.check_open()
    }

    #[cfg_attr(docs, doc = "It grew.", inline, cfg(all()))]
    fn deposited(self: &mut Self, Deposited { amount }: &Deposited) {}

    /// Not a decision.
    #[helper]
    fn check_open(&self) -> Result<(), BankError> {
        Ok(())
    }
}
"#,
    );
}

#[test]
fn methods_of_a_block_with_attributes() {
    methods_expand(
        "methods_of_a_block_with_attributes",
        "crate = ::framework::eventfold_es",
        r#"
/// What a counter does.
#[cfg(feature = "counters")]
impl counters::Counter {
    fn add(&self, command: Add) -> Decision<Self> {
        Ok(events![])
    }
}
"#,
    );
}

#[test]
fn methods_after_mistakes() {
    methods_expand(
        "methods_after_mistakes",
        "",
        r"
impl BankAccount {
    async fn open(&self, command: OpenAccount) -> Decision<Self> {
        Ok(events![])
    }

    fn opened(&mut self, event: AccountOpened) {}

    fn is_rich(&self, limit: &u64) -> bool {
        true
    }

    fn close(&self) -> Decision<Self> {
        Ok(events![])
    }

    fn deposit(&self, command: Deposit) -> Decision<Self> {
        Ok(events![])
    }
}
",
    );
}

#[test]
fn methods_that_are_all_helpers() {
    methods_expand(
        "methods_that_are_all_helpers",
        "",
        r"
impl BankAccount {
    #[helper]
    fn check_open(&self) {}
}
",
    );
}

#[test]
fn methods_outside_of_an_impl_block() {
    methods_expand(
        "methods_outside_of_an_impl_block",
        "",
        r"
struct BankAccount;
",
    );
}

/// The parts of a method, in their order.
const PARTS: [&[&str]; 8] = [
    &[
        "",
        "#[helper]",
        "#[helper(x)]",
        "#[helpr]",
        "#[cfg(x)]",
        "#[cfg_attr(x)]",
        "#[cfg_attr]",
        "#[cfg_attr(x, doc = \"..\", cfg(y))]",
        "#[doc(alias = \"..\")]",
        "/// It.\n",
    ],
    &[
        "",
        "",
        "pub",
        "pub(crate)",
        "async",
        "const",
        "unsafe",
        "extern \"C\"",
    ],
    &["fn a", "fn r#b"],
    &["()", "<T>()", "<'a>()", "<const N: usize>()"],
    &[
        "",
        "self",
        "mut self",
        "&self",
        "&'a self",
        "&mut self",
        "self: &Self",
        "self: &mut Self",
        "self: Box<Self>",
        "#[cfg(x)] &self",
    ],
    &[
        "",
        "command: A",
        "_: &A",
        "A { a, .. }: A",
        "event: &mut B",
        "a: impl A",
        "a: &impl A",
        "a: ()",
        "a: [u8; 2]",
        "a: b::B<'static, 2>",
        "a: &'a dyn A",
        "a: fn(A) -> B",
        "a: m!()",
    ],
    &[
        "",
        "",
        "context: &DecisionContext<'_>",
        "_: DecisionContext<'_>",
        "b: B",
        "b: B, c: C",
    ],
    &[
        "",
        "-> ()",
        "-> Decision<Self>",
        "-> bool",
        "-> !",
        "-> impl A",
        "where Self: Sized",
        "-> A where A: B",
    ],
];

/// Whatever is in the block, the output is Rust: at worst errors and the block.
#[test]
fn no_impl_block_makes_it_panic() {
    let mut random = random();
    for _ in 0..2_000 {
        let mut inside = String::new();
        for _ in 0..=random(3) {
            let [
                attribute,
                modifier,
                name,
                generics,
                receiver,
                first,
                second,
                after,
            ] = PARTS.map(|part| part[random(part.len())]);
            let generics = generics.trim_end_matches("()");
            let parameters = [receiver, first, second].map(str::to_owned);
            let parameters: Vec<_> = parameters.into_iter().filter(|of| !of.is_empty()).collect();
            let _ = writeln!(
                inside,
                "{attribute} {modifier} {name}{generics}({}) {after} {{}}",
                parameters.join(", ")
            );
        }
        inside += ["", "const A: B = { c };", "type A = B;", "m! {}", "m!();"][random(5)];
        let head = [
            "impl A",
            "impl<T> A<T>",
            "impl B for A",
            "impl A where A: B",
        ][random(4)];
        let block = format!("{head} {{ {inside} }}");
        let block: TokenStream = block.parse().unwrap();
        let arguments = inside_of(&mut random, &["crate", "=", "a", "::", ",", "name"], 4);
        if let Err(error) = syn::parse2::<syn::File>(block.clone()) {
            panic!("`{block}` is no Rust: {error}");
        }
        let output = crate::methods(arguments.parse().unwrap(), block);
        if let Err(error) = syn::parse2::<syn::File>(output) {
            panic!("`{inside}` expands to what is no Rust: {error}");
        }
    }
}

/// Whatever is in the attributes, the output is Rust: at worst errors and a fallback.
#[test]
fn any_attributes_expand_to_valid_rust_without_a_panic() {
    const WORDS: [&str; 52] = [
        "name",
        "commands",
        "events",
        "command",
        "event",
        "error",
        "command_enum",
        "event_enum",
        "snapshot",
        "unknown_events",
        "crate",
        "aggregates",
        "dispatches",
        "decides",
        "alias",
        "rename_all",
        "every",
        "version",
        "upcast",
        "retired",
        "tag",
        "tags",
        "aggregate",
        "course",
        ".",
        "1",
        "2",
        "derive",
        "=",
        "=",
        ",",
        ",",
        ",",
        ":",
        "<",
        ">",
        "::",
        "#",
        "-",
        "&",
        "?",
        "\"skip\"",
        "\"\"",
        "\"kebab-case\"",
        "\"a/b\"",
        "0",
        "100",
        "A",
        "b::B",
        "Clone",
        "r#move",
        "'a",
    ];
    let mut random = random();
    for _ in 0..300 {
        let inside = inside_of(&mut random, &WORDS, 14);
        for item in [
            "struct S;",
            "enum E { A, #[event(X)] B(u8) }",
            "struct G<T>(T);",
            "struct F { #[tag(X)] #[model(X)] a: A, #[model] #[tag] b: B }",
            "enum E { A { #[tag(X)] #[tag = X] a: A }, #[tag] B(#[tag(X)] B) }",
            "struct P { #[subject(X)] a: A, #[subject] #[personal(X)] b: Personal<B>, #[personal] c: C }",
            "enum P { A { #[subject] a: A, #[personal(X)] b: Personal<B> }, #[subject] B(#[personal(0)] B) }",
        ] {
            let item = item.replace('X', &inside);
            let input = format!(
                "#[aggregate({inside})] #[event({inside})] #[projection({inside})] #[process_manager({inside})] #[decision({inside})] #[decision_model({inside})] {item}"
            );
            let Ok(input) = syn::parse_str::<DeriveInput>(&input) else {
                continue;
            };
            for derive in [
                crate::aggregate as Derive,
                crate::domain_event,
                crate::projection,
                crate::sql_projection,
                crate::process_manager,
                crate::decision,
                crate::decision_model,
            ] {
                if let Err(error) = syn::parse2::<syn::File>(derive(&input)) {
                    panic!("`{inside}` expands to what is no Rust: {error}");
                }
            }
        }
    }
}

/// Numbers below a bound, the same in each run.
fn random() -> impl FnMut(usize) -> usize {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    }
}

/// Up to `count` random words, with groups among them.
fn inside_of(random: &mut impl FnMut(usize) -> usize, words: &[&str], count: usize) -> String {
    let mut inside = String::new();
    let mut open = Vec::new();
    for _ in 0..random(count) {
        match random(5) {
            0 => {
                let (start, end) = [('(', ')'), ('[', ']'), ('{', '}')][random(8).min(2) % 3];
                inside.push(start);
                open.push(end);
            }
            1 => inside.extend(open.pop()),
            _ => {
                inside.push_str(words[random(words.len())]);
                inside.push(' ');
            }
        }
    }
    inside.extend(open.into_iter().rev());
    inside
}
