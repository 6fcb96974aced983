//! Connections of the carriers that are not HTTP: the same connector, and so the same judging, without requests and answers.

use std::fmt;

use tokio::net::UdpSocket;
use watchbell_domain::endpoint::Transport;
use watchbell_wire::dialect::Carrier;

use super::client::{Client, PeerRefused};
use super::connector::{Stream, Target};
use super::fault::Fault;
use super::tls::Handshake;

/// Where an endpoint of another carrier than HTTP listens.
pub struct Socket {
    target: Target,
    handshake: Handshake,
    /// UDP.
    pub(crate) is_datagram: bool,
}

impl Socket {
    /// Whether TLS is spoken from the first byte.
    pub(crate) fn is_tls(&self) -> bool {
        self.target.tls
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("authority", &self.target.authority).finish_non_exhaustive()
    }
}

impl Client {
    /// Where an endpoint of another carrier's listens, nothing open yet.
    ///
    /// # Errors
    /// As [`Self::peer_with`].
    pub fn socket(&self, carrier: Carrier, url: &str, transport: &Transport) -> Result<Socket, PeerRefused> {
        let (target, is_datagram) = self.connector.carried_target(carrier, url)?;
        Ok(Socket { target, is_datagram, handshake: self.connector.bare_handshake(transport)? })
    }

    /// Connects, with TLS where the URL says so.
    pub(crate) async fn open(&self, socket: &Socket) -> Result<Box<dyn Stream>, Fault> {
        self.in_time(self.connector.connect(&socket.target, &socket.handshake)).await.map(|connected| connected.stream)
    }

    /// TLS on what is open already.
    pub(crate) async fn secured(&self, socket: &Socket, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, Fault> {
        let securing = self.connector.secured(&socket.target, &socket.handshake, stream);
        self.in_time(securing).await.map(|connected| connected.stream)
    }

    /// A socket for datagrams, after its name was looked up and judged.
    pub(crate) async fn datagrams(&self, socket: &Socket) -> Result<UdpSocket, Fault> {
        self.in_time(self.connector.datagrams(&socket.target)).await
    }
}
