//! One mail handed to a mail server (RFC 5321): greeting, TLS, who we are, the envelope, the message.
//!
//! ```text
//!  smtps://  TLS ─▶ 220 ─▶ EHLO ─▶ AUTH ─▶ MAIL FROM ─▶ RCPT TO … ─▶ DATA ─▶ 250
//!  smtp://   220 ─▶ EHLO ─▶ STARTTLS ─▶ TLS ─▶ EHLO ─▶ AUTH ─▶ …
//! ```
//!
//! Nothing but EHLO and STARTTLS is said without TLS, whatever the server offers. 4xx may be otherwise later, 5xx will not.
//! A recipient that is refused does not hold up the others; who was refused stands in the attempt.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message, MultiPart, SinglePart};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use watchbell_domain::delivery::AttemptResult;
use watchbell_domain::endpoint::Auth;
use watchbell_wire::dialect::Mail;

use super::Carried;
use crate::net::client::{Client, Socket};
use crate::net::connector::Stream;
use crate::net::fault::{self, Fault};

/// Longest reply, in bytes, all its lines together.
const REPLY_BYTES_MAX: usize = 16 * 1024;

/// How much of a reply is told, in characters.
const TOLD_MAX: usize = 200;

/// Sends one mail.
pub(in crate::delivery) async fn send(client: &Client, socket: &Socket, auth: Option<&Auth>, kept: &[u8]) -> Carried {
    let written = serde_json::from_slice(kept).map_err(|error| error.to_string()).and_then(|mail| {
        let message = message(&mail)?;
        Ok((mail, message))
    });
    match written {
        Ok((mail, message)) => match handed(client, socket, auth, &mail, &message).await {
            Ok(carried) => carried,
            Err(Ended::Fault(fault)) => fault.into(),
            Err(Ended::Said(step, reply)) => reply.refusal(step),
        },
        Err(problem) => Carried::Never { detail: format!("the mail cannot be written: {problem}") },
    }
}

/// Why a conversation ended early.
enum Ended {
    Fault(Fault),
    /// Not the reply that goes on.
    Said(&'static str, Reply),
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

async fn handed(
    client: &Client,
    socket: &Socket,
    auth: Option<&Auth>,
    mail: &Mail,
    message: &[u8],
) -> Result<Carried, Ended> {
    let mut talk = Talk { stream: client.open(socket).await?, unread: Vec::new() };
    talk.reply().await?.expect(220, "greeting")?;
    let hello = format!("EHLO {}", mail.from.rsplit('@').next().unwrap_or("localhost"));
    let mut offered = talk.say(&hello).await?.expect(250, "EHLO")?;
    if !socket.is_tls() {
        if !offered.offers("STARTTLS") {
            return Err(no_tls("the server offers no STARTTLS, and nothing is sent without TLS").into());
        }
        talk.say("STARTTLS").await?.expect(220, "STARTTLS")?;
        if !talk.unread.is_empty() {
            // Said before TLS, to be taken for said within it.
            return Err(no_tls("the server said more after STARTTLS than it was asked").into());
        }
        let stream = client.secured(socket, talk.stream).await?;
        talk = Talk { stream, unread: Vec::new() };
        offered = talk.say(&hello).await?.expect(250, "EHLO")?;
    }
    if let Some(Auth::Basic { username, password }) = auth {
        talk.authenticate(&offered, username, password.expose()).await?;
    }
    talk.say(&format!("MAIL FROM:<{}>", mail.from)).await?.expect(250, "MAIL FROM")?;
    let mut refused = Vec::new();
    for to in &mail.to {
        let reply = talk.say(&format!("RCPT TO:<{to}>")).await?;
        if !matches!(reply.code, 250 | 251) {
            refused.push((to, reply));
        }
    }
    if refused.len() == mail.to.len() {
        let detail = told(&refused);
        return Ok(match refused.iter().any(|(_, reply)| reply.may_change()) {
            true => Carried::Later { detail },
            false => Carried::Never { detail },
        });
    }
    talk.say("DATA").await?.expect(354, "DATA")?;
    talk.write(&stuffed(message)).await?;
    let taken = talk.reply().await?.expect(250, "the message")?;
    // Whether the server hears good-bye changes nothing.
    talk.write(b"QUIT\r\n").await.ok();
    let mut detail = taken.told();
    if !refused.is_empty() {
        detail = format!("{detail}; refused: {}", told(&refused));
    }
    Ok(Carried::Sent { detail: Some(detail) })
}

fn no_tls(what: &str) -> Fault {
    Fault::new(AttemptResult::TlsProtocol, what)
}

fn told(refused: &[(&String, Reply)]) -> String {
    let all: Vec<String> = refused.iter().map(|(to, reply)| format!("{to}: {}", reply.told())).collect();
    all.join("; ")
}

/// A conversation.
struct Talk {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
}

impl Talk {
    async fn say(&mut self, line: &str) -> Result<Reply, Fault> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.reply().await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        written.await.map_err(|error| fault::of_io(&error))
    }

    /// One reply of one line or several.
    async fn reply(&mut self) -> Result<Reply, Fault> {
        let not_smtp = || Fault::new(AttemptResult::ProtocolError, "the server does not speak SMTP");
        let mut reply = Reply { code: 0, lines: Vec::new() };
        let mut bytes = 0;
        loop {
            let line = self.line().await?;
            bytes += line.len();
            if bytes > REPLY_BYTES_MAX {
                return Err(AttemptResult::ResponseTooLarge.into());
            }
            let (code, rest) = line.split_at_checked(3).ok_or_else(not_smtp)?;
            let is_code = code.bytes().all(|byte| byte.is_ascii_digit());
            reply.code = code.parse().ok().filter(|_| is_code).ok_or_else(not_smtp)?;
            let (is_last, text) = match rest.strip_prefix('-') {
                Some(text) => (false, text),
                None => (true, rest.strip_prefix(' ').unwrap_or(rest)),
            };
            reply.lines.push(text.to_owned());
            if is_last {
                return Ok(reply);
            }
        }
    }

    async fn line(&mut self) -> Result<String, Fault> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let rest = self.unread.split_off(end + 1);
                let line = std::mem::replace(&mut self.unread, rest);
                return Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
            }
            if self.unread.len() > REPLY_BYTES_MAX {
                return Err(AttemptResult::ResponseTooLarge.into());
            }
            let count = self.stream.read_buf(&mut self.unread).await.map_err(|error| fault::of_io(&error))?;
            if count == 0 {
                return Err(AttemptResult::ConnectionClosed.into());
            }
        }
    }

    /// PLAIN, or LOGIN where the server knows no better (RFC 4954).
    async fn authenticate(&mut self, offered: &Reply, username: &str, password: &str) -> Result<(), Ended> {
        if offered.offers_auth("PLAIN") {
            let response = STANDARD.encode(format!("\0{username}\0{password}"));
            self.say(&format!("AUTH PLAIN {response}")).await?.expect(235, "AUTH")?;
            return Ok(());
        }
        if !offered.offers_auth("LOGIN") {
            let lines = vec!["the server offers neither AUTH PLAIN nor AUTH LOGIN".to_owned()];
            return Err(Ended::Said("AUTH", Reply { code: 504, lines }));
        }
        self.say("AUTH LOGIN").await?.expect(334, "AUTH")?;
        self.say(&STANDARD.encode(username)).await?.expect(334, "AUTH")?;
        self.say(&STANDARD.encode(password)).await?.expect(235, "AUTH")?;
        Ok(())
    }
}

struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Reply {
    fn expect(self, code: u16, step: &'static str) -> Result<Self, Ended> {
        match self.code == code {
            true => Ok(self),
            false => Err(Ended::Said(step, self)),
        }
    }

    fn may_change(&self) -> bool {
        (400..500).contains(&self.code)
    }

    fn refusal(&self, step: &str) -> Carried {
        let detail = format!("{step}: {}", self.told());
        match self.code {
            500..600 => Carried::Never { detail },
            _ => Carried::Later { detail },
        }
    }

    fn told(&self) -> String {
        format!("{} {}", self.code, self.lines.join(" ")).chars().take(TOLD_MAX).collect()
    }

    fn offers(&self, keyword: &str) -> bool {
        let first = |line: &String| line.split(' ').next().is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        self.lines.iter().skip(1).any(first)
    }

    fn offers_auth(&self, mechanism: &str) -> bool {
        self.lines.iter().any(|line| {
            let mut words = line.split([' ', '=']);
            words.next().is_some_and(|word| word.eq_ignore_ascii_case("AUTH"))
                && words.any(|word| word.eq_ignore_ascii_case(mechanism))
        })
    }
}

/// The message as it goes out behind DATA: a full stop more where a line begins with one, and the line that ends it.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    let mut line_begins = true;
    for byte in message {
        if line_begins && *byte == b'.' {
            out.push(b'.');
        }
        out.push(*byte);
        line_begins = *byte == b'\n';
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// A mail as MIME (RFC 5322, 2045–2047): the same bytes whenever it is made.
fn message(mail: &Mail) -> Result<Vec<u8>, String> {
    let mailbox = |address: &str| address.parse().map(|email| Mailbox::new(None, email)).map_err(|_| "an address");
    let part = |content_type, text: &str| {
        let body = Body::new_with_encoding(text.to_owned(), ContentTransferEncoding::QuotedPrintable);
        let body = body.map_err(|_| "a part that cannot be quoted")?;
        Ok::<_, &str>(SinglePart::builder().header(content_type).body(body))
    };
    let boundary: String = hex::encode(Sha256::digest(&mail.message_id)).chars().take(32).collect();
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let mut builder = Message::builder()
        .from(mailbox(&mail.from)?)
        .subject(mail.subject.as_str())
        .date(mail.date.into())
        .message_id(Some(mail.message_id.clone()))
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()));
    for to in &mail.to {
        builder = builder.to(mailbox(to)?);
    }
    if let Some(opening) = &mail.in_reply_to {
        builder = builder.in_reply_to(opening.clone()).references(opening.clone());
    }
    let parts = MultiPart::alternative()
        .boundary(boundary)
        .singlepart(part(ContentType::TEXT_PLAIN, &mail.text)?)
        .singlepart(part(ContentType::TEXT_HTML, &mail.html)?);
    let message = builder.multipart(parts).map_err(|error| error.to_string())?;
    Ok(message.formatted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_full_stop_ends_nothing() {
        assert_eq!(stuffed(b".\r\n..a\r\nb."), b"..\r\n...a\r\nb.\r\n.\r\n");
        assert_eq!(stuffed(b""), b"\r\n.\r\n");
    }

    #[test]
    fn a_mail_is_written_the_same_every_time() {
        let mail = Mail {
            from: "watchbell@example.com".to_owned(),
            to: vec!["a@example.com".to_owned(), "b@example.com".to_owned()],
            subject: "Schwäche: \u{1f600}".to_owned(),
            text: ".\r\nFrom here".to_owned(),
            html: "<p>&lt;</p>".to_owned(),
            date: "2024-10-09T08:47:57.975Z".parse().unwrap(),
            message_id: "<a.b@example.com>".to_owned(),
            in_reply_to: Some("<a@example.com>".to_owned()),
        };
        let written = message(&mail).unwrap();
        assert_eq!(written, message(&mail).unwrap());
        let text = String::from_utf8(written).unwrap();
        for line in [
            "Message-ID: <a.b@example.com>",
            "In-Reply-To: <a@example.com>",
            "References: <a@example.com>",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "From: watchbell@example.com",
            "To: a@example.com, b@example.com",
        ] {
            assert!(text.contains(&format!("{line}\r\n")), "{line}: {text}");
        }
        assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 998), "{text}");
    }
}
