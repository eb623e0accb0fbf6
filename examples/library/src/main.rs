mod book;
mod events;
mod reader;
mod reminders;
mod shelf;

use std::error::Error;
use std::io;
use std::pin::pin;

use eventfold_es::prelude::*;
use tokio::sync::mpsc;

use book::{Book, Buy, Lend, Return};
use reader::Reader;
use reminders::Reminders;
use shelf::Shelf;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = AggregateStore::builder("data")
        .projection::<Shelf>()
        .process_manager::<Reminders>()
        .live()
        .open()
        .await?;
    println!(
        "buy ID TITLE, lend ID READER DAYS, return ID, list, reader NAME, backup DIR; Ctrl-C ends"
    );

    let mut lines = lines_of_the_terminal();
    let mut ended = pin!(asked_to_end());
    loop {
        // Whichever comes first. A line that has begun is answered before the program ends.
        let line = tokio::select! {
            line = lines.recv() => line,
            ended = &mut ended => ended.map(|()| None)?,
        };
        let Some(line) = line else { break };
        if let Err(error) = answer(&store, &line).await {
            println!("{error}");
        }
    }
    store.shutdown().await?;
    Ok(())
}

async fn answer(store: &AggregateStore, line: &str) -> Result<(), Box<dyn Error>> {
    match *line.split_whitespace().collect::<Vec<_>>() {
        ["buy", id, ref title @ ..] => {
            let title = title.join(" ");
            store.get::<Book>(id).await?.send(Buy { title }).await?;
        }
        ["lend", id, reader, days] => {
            let (reader, days) = (reader.to_owned(), days.parse()?);
            let lend = Lend { reader, days };
            store.get::<Book>(id).await?.send(lend).await?;
        }
        ["return", id] => {
            store.get::<Book>(id).await?.send(Return).await?;
        }
        ["list"] => {
            let shelf = store.read(Shelf::clone).await?;
            for (id, book) in shelf.books {
                let place = book
                    .reader
                    .map_or("here".to_owned(), |reader| format!("at {reader}'s"));
                println!(
                    "{id}: {}, {place}, lent {} times",
                    book.title, book.times_lent
                );
            }
        }
        ["reader", name] => {
            let reader = store.get::<Reader>(name).await?.state().await?;
            println!("{name} was reminded {} times", reader.reminders);
        }
        ["backup", dir] => {
            let report = store.backup(dir).await?;
            println!("{dir} has all events up to {}", report.position);
        }
        _ => println!("that is no command"),
    }
    Ok(())
}

/// The lines that are typed. A thread waits for them, since a read of the terminal cannot be broken off.
fn lines_of_the_terminal() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Waits for Ctrl-C, or for the SIGTERM of whatever runs the program.
async fn asked_to_end() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

#[cfg(test)]
mod tests {
    use eventfold_es::testing::event_history;

    use super::book::BookEvent;
    use super::events::{Bought, Lent, Returned};

    #[test]
    fn every_event_that_was_ever_stored_can_be_read() {
        let (title, reader) = ("Dune".to_owned(), "ann".to_owned());
        event_history::<BookEvent>("stored-events")
            .sample(Bought { title })
            .sample(Lent { reader, days: 14 })
            .sample(Returned)
            .check();
    }
}
