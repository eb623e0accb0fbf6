//! The pages, as HTML. `maud` escapes all that is shown.

use eventfold_es::{Position, Version};
use maud::{Markup, html};
use uuid::Uuid;

use crate::board::{CustomerRow, Filter, Message, QueueRow, TicketRow};
use crate::web::layout::{Moment, form, page, path};

pub(crate) fn list(
    head: Position,
    filter: &Filter,
    queues: &[QueueRow],
    tickets: &[TicketRow],
) -> Markup {
    let shown = [
        ("", "open"),
        ("escalated", "escalated"),
        ("waiting", "waiting"),
        ("answered", "answered"),
        ("closed", "closed"),
        ("all", "all"),
    ];
    let content = html! {
        h1 { "Tickets" }
        form.bar {
            select name="queue" aria-label="Queue" {
                option value="" { "all queues" }
                @for queue in queues {
                    option selected[queue.name == filter.queue] { (queue.name) }
                }
            }
            select name="status" aria-label="Status" {
                @for (value, name) in shown {
                    option value=(value) selected[value == filter.status] { (name) }
                }
            }
            input type="search" name="search" value=(filter.search) placeholder="subject, name or address" aria-label="Search";
            button { "Show" }
            a.button href="/new" { "New ticket" }
        }
        section #tickets data-live=(head) {
            @if tickets.is_empty() { p { "No tickets." } }
            @else {
                table {
                    thead { tr {
                        th { "Ticket" } th { "Customer" } th { "Queue" } th { "Agent" } th { "Status" } th { "Answer due (UTC)" }
                    } }
                    tbody {
                        @for ticket in tickets {
                            tr #{ "ticket-" (ticket.id) } {
                                td { a href=(path("/tickets/", &ticket.id, "")) { (ticket.subject) } }
                                td data-of="customer" { (ticket.customer) }
                                td data-of="queue" { (ticket.queue) }
                                td data-of="agent" { (ticket.agent.as_deref().unwrap_or("–")) }
                                td { span.status data-status=(ticket.status) { (ticket.status) } }
                                td data-of="due" { @if let Some(due) = ticket.due_ms { (Moment(due)) } @else { "–" } }
                            }
                        }
                    }
                }
            }
        }
    };
    page("Tickets", &content)
}

pub(crate) fn new_ticket(queues: &[QueueRow], customers: &[CustomerRow]) -> Markup {
    let action = format!("/api/tickets/{}", Uuid::new_v4().simple());
    let fields = html! {
        label { "Customer"
            select name="customer" required {
                @for customer in customers {
                    option value=(customer.id) { (customer.name) " <" (customer.email) ">" }
                }
            }
        }
        label { "Queue" select name="queue" required { @for queue in queues { option { (queue.name) } } } }
        label { "Subject" input name="subject" required; }
        label { "Question" textarea name="text" rows="6" required {} }
        label { "Minutes until an answer is due"
            input name="answer_within_minutes" type="number" min="1" max="100000" value="60" required;
        }
        button { "Open" }
    };
    let content = html! {
        h1 { "New ticket" }
        @if customers.is_empty() {
            p { "A ticket is a customer's. " a href="/customers" { "Register one first." } }
        } @else {
            (form("PUT", &action, &fields))
        }
    };
    page("New ticket", &content)
}

pub(crate) fn ticket(
    head: Position,
    version: Version,
    row: &TicketRow,
    messages: &[Message],
    queues: &[QueueRow],
) -> Markup {
    let action = |action: &str| path("/api/tickets/", &row.id, action);
    let say = |name: &str| html! { textarea name="text" rows="3" required aria-label=(name) {} button { (name) } };
    let others = queues.iter().filter(|queue| queue.name != row.queue);
    let content = html! {
        section #ticket data-live=(head) data-etag={ "\"" (version) "\"" } {
            h1 { (row.subject) }
            p.facts {
                span.status data-status=(row.status) { (row.status) }
                span { "of " b { (row.customer) } " <" (row.email) ">" }
                span { "in " b data-of="queue" { (row.queue) } }
                span { "agent " b data-of="agent" { (row.agent.as_deref().unwrap_or("–")) } }
                @if let Some(due) = row.due_ms { span { "answer due " (Moment(due)) " UTC" } }
            }
            ol.messages {
                @for message in messages {
                    li.agent[message.author.is_some()] {
                        p.by { b { (message.author.as_deref().unwrap_or(&row.customer)) } " " (Moment(message.ms)) }
                        p { (message.text) }
                    }
                }
            }
        }
        @if row.status == "closed" { p { "The ticket is closed." } }
        @else {
            div.forms {
                (form("POST", &action("/answers"), &say("Answer")))
                (form("POST", &action("/questions"), &say("Customer asks")))
                (form("POST", &action("/agent"), &html! {
                    input name="agent" required placeholder="agent" aria-label="Agent"; button { "Assign" }
                }))
                (form("POST", &action("/move"), &html! {
                    input type="hidden" name="from" value=(row.queue);
                    select name="to" aria-label="Other queue" { @for queue in others { option { (queue.name) } } }
                    button { "Move" }
                }))
                @if row.status == "waiting" {
                    (form("POST", &action("/escalation"), &html! { button { "Escalate" } }))
                }
                (form("POST", &action("/close"), &html! { button { "Close" } }))
            }
        }
    };
    page(&row.subject, &content)
}

pub(crate) fn queues(head: Position, queues: &[QueueRow]) -> Markup {
    let content = html! {
        h1 { "Queues" }
        section #queues data-live=(head) {
            table {
                thead { tr { th { "Queue" } th { "Tickets" } th { "Room" } th { "On call" } } }
                tbody {
                    @for queue in queues {
                        tr #{ "queue-" (queue.name) } {
                            td { a href=(path("/?queue=", &queue.name, "")) { (queue.name) } }
                            td data-of="tickets" { (queue.tickets) }
                            td { (queue.room) }
                            td data-of="on-call" { (queue.on_call.as_deref().unwrap_or("nobody")) }
                        }
                    }
                }
            }
        }
        @for queue in queues {
            div.forms {
                (form("PUT", &path("/api/queues/", &queue.name, "/on-call"), &html! {
                    input name="agent" value=[&queue.on_call] placeholder="nobody" aria-label={ "On call for " (queue.name) };
                    button { "Put on call for " (queue.name) }
                }))
                (form("PUT", &path("/api/queues/", &queue.name, ""), &html! {
                    input name="room" type="number" min="0" max="10000" value=(queue.room) aria-label={ "Room of " (queue.name) };
                    button { "Set the room of " (queue.name) }
                }))
            }
        }
    };
    page("Queues", &content)
}

pub(crate) fn customers(head: Position, customers: &[CustomerRow]) -> Markup {
    let content = html! {
        h1 { "Customers" }
        section #customers data-live=(head) {
            table {
                thead { tr { th { "Name" } th { "E-mail address" } } }
                tbody {
                    @for customer in customers {
                        tr #{ "customer-" (customer.id) } { td { (customer.name) } td { (customer.email) } }
                    }
                }
            }
        }
        div.forms {
            (form("PUT", &format!("/api/customers/{}", Uuid::new_v4().simple()), &html! {
                label { "Name" input name="name" required; }
                label { "E-mail address" input name="email" type="email" required; }
                button { "Register" }
            }))
        }
    };
    page("Customers", &content)
}
