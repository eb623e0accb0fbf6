//! `ui`.

use std::io;
use std::net::Ipv4Addr;

use eventfold_es::console;
use tokio::net::TcpListener;

use crate::args::Ui;
use crate::commands::reading::{open, wait};
use crate::failure::Result;
use crate::output::Output;
use crate::place::Place;

pub(crate) fn serve(store: &Place, ui: &Ui, out: &mut Output) -> Result<()> {
    let console = console::router_of_reader(open(store)?).build();
    wait(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ui.port));
        let listener = listener.await.map_err(|error| cannot_listen(ui, &error))?;
        let address = listener.local_addr()?;
        let url = format!("http://{address}/");
        if out.is_json() {
            out.json(&serde_json::json!({ "url": url }))?;
        } else {
            out.line(format_args!("{url}  (until Ctrl-C)"))?;
        }
        out.finish()?;
        Ok(axum::serve(listener, console).await?)
    })?
}

fn cannot_listen(ui: &Ui, error: &io::Error) -> io::Error {
    let port = ui.port;
    let text = format!("cannot listen on port {port}: {error}; without --port a free one is taken");
    io::Error::new(error.kind(), text)
}
