//! Messages of syslog's over TCP, TLS and UDP (RFC 6587, 5425, 5426). No receiver acknowledges one: taken by the connection is
//! all that can be known. What can be seen of a receiver that is gone is looked for: a connection that it closed is not
//! written to, and a new one is watched for a moment after its first message.

use std::pin::pin;
use std::sync::Arc;

use futures_util::poll;
use jiff::SignedDuration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;
use watchbell_domain::delivery::AttemptResult;
use watchbell_wire::dialect::Framing;

use crate::net::client::{Client, Socket};
use crate::net::connector::Stream;
use crate::net::fault::{self, Fault};

/// How long a new connection is watched after its first message: who closes at once has read nothing.
const GRACE: SignedDuration = SignedDuration::from_millis(100);

/// Most reads of what a receiver says, which is nothing that syslog knows.
const READS_MAX: usize = 16;

/// One endpoint's connection. Its messages go out one after the other.
#[derive(Debug)]
pub(in crate::delivery) struct Line {
    socket: Socket,
    open: Arc<Mutex<Option<Open>>>,
}

struct Open {
    stream: Box<dyn Stream>,
    born_at: SignedDuration,
    used_at: SignedDuration,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").field("born_at", &self.born_at).finish_non_exhaustive()
    }
}

impl Line {
    pub(super) fn to(socket: Socket) -> Self {
        Self { socket, open: Arc::default() }
    }

    pub(in crate::delivery) async fn send(
        &self,
        client: &Client,
        message: &[u8],
        framing: Framing,
    ) -> Result<(), Fault> {
        if self.socket.is_datagram {
            return self.send_datagram(client, message, framing.datagram_bytes_max).await;
        }
        let framed = match framing.counts_octets {
            true => [format!("{} ", message.len()).as_bytes(), message].concat(),
            false => [message, b"\n"].concat(),
        };
        let mut place = self.open.lock().await;
        // Taken out: an attempt that ends in the middle of a message leaves no connection behind.
        if let Some(mut open) = place.take().filter(|open| open.is_young(client))
            && !has_ended(&mut open.stream).await
            && write(&mut open.stream, &framed).await.is_ok()
            && !has_ended(&mut open.stream).await
        {
            open.used_at = client.monotonic();
            *place = Some(open);
            return Ok(());
        }
        let mut stream = client.open(&self.socket).await?;
        write(&mut stream, &framed).await?;
        tokio::select! {
            biased;
            () = ended(&mut stream) => {
                return Err(Fault::new(AttemptResult::ConnectionClosed, "the receiver closed the connection at once"));
            }
            () = client.sleep(GRACE) => {}
        }
        let now = client.monotonic();
        *place = Some(Open { stream, born_at: now, used_at: now });
        Ok(())
    }

    async fn send_datagram(&self, client: &Client, message: &[u8], max: usize) -> Result<(), Fault> {
        let socket = client.datagrams(&self.socket).await?;
        socket.send(fitting(message, max)).await.map_err(|error| fault::of_io(&error))?;
        Ok(())
    }

    pub(super) fn sweep(&self, client: &Client) {
        if let Ok(mut place) = self.open.try_lock() {
            place.take_if(|open| !open.is_young(client));
        }
    }
}

impl Open {
    fn is_young(&self, client: &Client) -> bool {
        let (now, limits) = (client.monotonic(), client.limits());
        now - self.used_at < limits.idle_timeout && now - self.born_at < limits.connection_age_max
    }
}

async fn write(stream: &mut Box<dyn Stream>, framed: &[u8]) -> Result<(), Fault> {
    let written = async {
        stream.write_all(framed).await?;
        stream.flush().await
    };
    written.await.map_err(|error| fault::of_io(&error))
}

/// Whether the receiver has closed the connection, as far as is known now. What it says is not read for its meaning.
async fn has_ended(stream: &mut Box<dyn Stream>) -> bool {
    let mut unread = [0; 256];
    for _ in 0..READS_MAX {
        match poll!(pin!(stream.read(&mut unread))) {
            std::task::Poll::Pending => return false,
            std::task::Poll::Ready(Ok(0) | Err(_)) => return true,
            std::task::Poll::Ready(Ok(_)) => {}
        }
    }
    false
}

/// Waits until the receiver closes the connection.
async fn ended(stream: &mut Box<dyn Stream>) {
    let mut unread = [0; 256];
    while stream.read(&mut unread).await.is_ok_and(|count| count > 0) {}
}

/// As much of a message as a datagram may hold, cut between characters and never behind a lonely `\`.
fn fitting(message: &[u8], max: usize) -> &[u8] {
    if message.len() <= max {
        return message;
    }
    let mut end = max;
    while end > 0 && message.get(end).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {
        end -= 1;
    }
    let short = message.get(..end).unwrap_or_default();
    let slashes = short.iter().rev().take_while(|byte| **byte == b'\\').count();
    short.get(..end - slashes % 2).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_cut_between_characters_and_escapes() {
        assert_eq!(fitting(b"abc", 3), b"abc");
        assert_eq!(fitting(b"abcd", 3), b"abc");
        assert_eq!(fitting("aä".as_bytes(), 2), b"a");
        assert_eq!(fitting("a\u{1f600}".as_bytes(), 4), b"a");
        assert_eq!(fitting(br"a\=b", 2), b"a");
        assert_eq!(fitting(br"a\\=b", 3), br"a\\");
    }
}
