//! Connections that can be cut from outside: axum knows how to wait for connections, and not how to close them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Waits for `true`, or until nobody is there any more to send it.
pub(crate) async fn told(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|is_set| *is_set).await;
}

/// A listener whose connections end once its flag is set, or nobody is there any more to set it.
#[derive(Debug)]
pub(crate) struct CutListener {
    listener: TcpListener,
    is_cut: watch::Receiver<bool>,
}

impl CutListener {
    pub(crate) fn new(listener: TcpListener, is_cut: watch::Receiver<bool>) -> Self {
        Self { listener, is_cut }
    }
}

impl Listener for CutListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let connection = Connection {
            stream,
            while_reading: Box::pin(told(self.is_cut.clone())),
            while_writing: Box::pin(told(self.is_cut.clone())),
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

type Cut = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection. Its reader and its writer may be two tasks, so each has a future to wait for the cut.
pub(crate) struct Connection {
    stream: TcpStream,
    while_reading: Cut,
    while_writing: Cut,
}

/// Fails if the connection is cut. Otherwise the task is woken when it is.
fn check(cut: &mut Cut, context: &mut Context<'_>) -> io::Result<()> {
    match cut.as_mut().poll(context) {
        Poll::Pending => Ok(()),
        Poll::Ready(()) => {
            // A future that has ended is not polled again.
            *cut = Box::pin(std::future::ready(()));
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        check(&mut self.while_reading, context)?;
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        check(&mut self.while_writing, context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        check(&mut self.while_writing, context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        check(&mut self.while_writing, context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
