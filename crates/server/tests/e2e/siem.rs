//! Log servers, mail servers and collectors that are not ours take what the server sends: rsyslog over TCP, TLS and UDP,
//! aiosmtpd with STARTTLS and a password, a strict collector and a strict bulk API.
//!
//! rsyslog comes from Debian's packages, unpacked into the target folder where it is not installed; aiosmtpd from PyPI. What
//! cannot be had is said loudly and left out.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Lines};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::client::{Client, make_endpoint, make_org};
use crate::installs::{Installs, succeeds};
use crate::process::Home;

const HARD_TEXT: &str = "Schwäche\r\n|=]\"\\ CEF:0|x|\u{1F600} <b>&\u{2028}\t${jndi:x} \u{202e}";
const FINDING: &str = "01926fe4-2b7a-7d10-9c3d-02468ace1357";

const SIEM: Installs = Installs("siem");

fn python() -> Option<PathBuf> {
    SIEM.python("aiosmtpd", "import aiosmtpd")
}

/// rsyslog: the program, its modules, its libraries.
#[derive(Clone)]
struct Rsyslog {
    program: PathBuf,
    modules: PathBuf,
    libraries: PathBuf,
}

fn rsyslog() -> Option<Rsyslog> {
    let within = |root: &Path| {
        let libraries = root.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
        let modules = libraries.join("rsyslog");
        let program = root.join("usr/sbin/rsyslogd");
        let is_there = program.exists() && modules.join("lmnsd_ossl.so").exists();
        is_there.then_some(Rsyslog { program, modules, libraries })
    };
    let unpacked = SIEM.folder().join("rsyslog");
    let find = || within(Path::new("/")).or_else(|| within(&unpacked));
    let get = || {
        let packages = SIEM.folder().join("packages");
        std::fs::create_dir_all(&packages).unwrap();
        let names = ["rsyslog", "rsyslog-openssl", "libestr0", "libfastjson4"];
        let download = || succeeds(Command::new("apt-get").arg("download").args(names).current_dir(&packages));
        let has_them = download() || (succeeds(Command::new("apt-get").args(["-q", "update"])) && download());
        let unpack = |package| succeeds(Command::new("dpkg").arg("-x").arg::<PathBuf>(package).arg(&unpacked));
        has_them && std::fs::read_dir(&packages).unwrap().all(|package| unpack(package.unwrap().path()))
    };
    SIEM.once("rsyslog (Debian: rsyslog, rsyslog-openssl)", || find().is_some(), get)?;
    find()
}

/// A receiver that prints a port, then a line for each thing it took.
struct Receiver {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    port: u16,
}

impl Receiver {
    fn start(script: &str, arguments: &[&Path]) -> Option<Self> {
        let mut command = Command::new(python()?);
        command.arg(SIEM.scripts().join(script)).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        Some(Self { child, lines, port })
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().expect("the receiver lives").unwrap()).unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A certificate for 127.0.0.1 and the authority that signed it, as files.
struct Certificates {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificates {
    fn in_folder(folder: &Path) -> Self {
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut ca = CertificateParams::new([]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        Self {
            ca: write("ca.pem", ca_pem),
            certificate: write("certificate.pem", leaf.pem()),
            key: write("key.pem", key.serialize_pem()),
        }
    }

    fn ca_pem(&self) -> String {
        std::fs::read_to_string(&self.ca).unwrap()
    }
}

fn found(severity: &str) -> Value {
    json!({"finding_id": FINDING, "title": HARD_TEXT, "severity": severity, "cve_id": "CVE-2019-10744", "cvss_score": 9.1,
        "cvss_vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:H", "resource_path": HARD_TEXT,
        "component": {"name": "lodash", "version": "4.17.11", "purl": "pkg:npm/lodash@4.17.11"}})
}

/// Tells that something was found, and that it is gone.
async fn tell(client: &mut Client) {
    for name in ["vulnerability.created", "vulnerability.remediated"] {
        client.must_post("/api/v1/orgs/acme/events", json!({"type": name, "data": found("high")})).await;
    }
}

/// A running rsyslog that writes what it read to a file.
struct LogServer {
    child: Child,
    written: PathBuf,
    tcp: u16,
    udp: u16,
    tls: u16,
}

impl LogServer {
    fn start(rsyslog: &Rsyslog, folder: &Path, certificates: &Certificates) -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (tcp, tls) = (free(), free());
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let written = folder.join("messages");
        let path = |path: &Path| path.display().to_string();
        let fields = "%pri%\\t%timereported:::date-rfc3339%\\t%hostname%\\t%app-name%\\t%procid%\\t%msgid%\\t%structured-data%\\t%inputname%\\t%msg%\\n";
        let config = format!(
            "global(DefaultNetstreamDriver=\"ossl\" DefaultNetstreamDriverCAFile=\"{ca}\" workDirectory=\"{folder}\"\n\
             DefaultNetstreamDriverCertFile=\"{certificate}\" DefaultNetstreamDriverKeyFile=\"{key}\")\n\
             module(load=\"imptcp\")\nmodule(load=\"imudp\")\n\
             module(load=\"imtcp\" StreamDriver.Name=\"ossl\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\")\n\
             template(name=\"fields\" type=\"string\" string=\"{fields}\")\n\
             ruleset(name=\"all\") {{ action(type=\"omfile\" file=\"{written}\" template=\"fields\") }}\n\
             input(type=\"imptcp\" port=\"{tcp}\" address=\"127.0.0.1\" name=\"tcp\" ruleset=\"all\")\n\
             input(type=\"imudp\" port=\"{udp}\" address=\"127.0.0.1\" name=\"udp\" ruleset=\"all\")\n\
             input(type=\"imtcp\" port=\"{tls}\" address=\"127.0.0.1\" name=\"tls\" ruleset=\"all\")\n",
            ca = path(&certificates.ca),
            certificate = path(&certificates.certificate),
            key = path(&certificates.key),
            folder = path(folder),
            written = path(&written),
        );
        let file = folder.join("rsyslog.conf");
        std::fs::write(&file, config).unwrap();
        let mut libraries: OsString = rsyslog.libraries.clone().into();
        libraries.push(":/usr/lib");
        let mut command = Command::new(&rsyslog.program);
        command.args(["-n", "-i"]).arg(folder.join("pid")).arg("-f").arg(file).arg("-M").arg(&rsyslog.modules);
        let child = command.env("LD_LIBRARY_PATH", libraries).stdin(Stdio::null()).spawn().unwrap();
        let server = Self { child, written, tcp, udp, tls };
        // It says nothing when it is ready; it is when it takes a connection on the port that it opens last.
        while std::net::TcpStream::connect(("127.0.0.1", tls)).is_err() {
            std::thread::yield_now();
        }
        server
    }

    /// Waits until so many messages of one input are written, and reads them by field.
    fn messages(&self, input: &str, count: usize) -> Vec<Vec<String>> {
        loop {
            let text = std::fs::read_to_string(&self.written).unwrap_or_default();
            let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
            let lines = complete.split('\n').map(|line| line.splitn(9, '\t').map(str::to_owned).collect::<Vec<_>>());
            let found: Vec<_> = lines.filter(|fields| fields.get(7).is_some_and(|name| name == input)).collect();
            if found.len() >= count {
                return found;
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for LogServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rsyslog_reads_what_is_sent_over_tcp_tls_and_udp() {
    let Some(rsyslog) = rsyslog() else { return };
    let home = Home::new("");
    let certificates = Certificates::in_folder(home.path());
    let logs = LogServer::start(&rsyslog, home.path(), &certificates);
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let tls = json!({"ca_pem": certificates.ca_pem()});
    let endpoints = [
        json!({"dialect": "syslog", "url": format!("syslog+tcp://127.0.0.1:{}", logs.tcp)}),
        json!({"dialect": "cef", "url": format!("syslog+tls://127.0.0.1:{}", logs.tls), "tls": tls}),
        json!({"dialect": "cef", "url": format!("syslog+udp://127.0.0.1:{}", logs.udp), "settings": {"hostname": "wb.test"}}),
        json!({"dialect": "syslog", "url": format!("syslog+tcp://127.0.0.1:{}", logs.tcp),
            "settings": {"framing": "newline", "app_name": "lines"}}),
    ];
    for endpoint in endpoints {
        make_endpoint(&mut client, "acme", endpoint).await;
    }
    tell(&mut client).await;
    for (input, count, host) in [("tcp", 4, "-"), ("tls", 2, "-"), ("udp", 2, "wb.test")] {
        let messages = logs.messages(input, count);
        assert_eq!(messages.len(), count, "{messages:?}");
        for name in ["vulnerability.created", "vulnerability.remediated"] {
            let of_event: Vec<_> = messages.iter().filter(|fields| fields[5] == name).collect();
            assert_eq!(of_event.len(), count / 2, "{input} {name}: {messages:?}");
            for fields in of_event {
                assert_eq!((&*fields[0], &*fields[2], &*fields[4]), ("131", host, "-"), "{input}");
                match input {
                    "tcp" => {
                        assert!(matches!(&*fields[3], "watchbell" | "lines"));
                        assert!(fields[6].contains(&format!("key=\"{FINDING}\"")), "{fields:?}");
                        assert!(fields[8].contains("Schwäche |=]\"\\ CEF:0|x|\u{1F600} <b>&"), "{fields:?}");
                    }
                    _ => {
                        assert_eq!(fields[6], "-");
                        let cef = format!("CEF:0|Watchbell|Watchbell|1.0|{name}|Schwäche \\|=]\"\\\\ CEF:0\\|x\\|");
                        assert!(fields[8].trim_start().starts_with(&cef), "{fields:?}");
                        assert!(fields[8].contains(&format!(" externalId={FINDING} ")), "{fields:?}");
                    }
                }
            }
        }
    }
    // Without the authority of its owner's, the certificate is nobody's.
    let url = format!("syslog+tls://127.0.0.1:{}", logs.tls);
    let untrusted = make_endpoint(&mut client, "acme", json!({"dialect": "syslog", "url": url})).await;
    tell(&mut client).await;
    let result = first_result(&mut client, untrusted["id"].as_str().unwrap()).await;
    assert_eq!(result["result"], "tls_untrusted", "{result}");
}

/// The first attempt at the first delivery of an endpoint, once there is one.
async fn first_result(client: &mut Client, endpoint: &str) -> Value {
    loop {
        let (status, list) = client.get(&format!("/api/v1/orgs/acme/deliveries?endpoint={endpoint}")).await.unwrap();
        assert_eq!(status, 200, "{list}");
        let Some(id) = list["items"].as_array().and_then(|items| items.last()?["id"].as_str().map(str::to_owned))
        else {
            continue;
        };
        let (_, delivery) = client.get(&format!("/api/v1/orgs/acme/deliveries/{id}")).await.unwrap();
        if let Some(first) = delivery["attempts"].as_array().and_then(|attempts| attempts.first()) {
            return first.clone();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_takes_mail_with_tls_and_a_password() {
    let home = Home::new("");
    let certificates = Certificates::in_folder(home.path());
    let Some(mut mail) = Receiver::start("smtp.py", &[&certificates.certificate, &certificates.key]) else { return };
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let auth = json!({"type": "basic", "username": "watchbell", "password": "pä55 word"});
    let settings = json!({"from": "watchbell@example.com", "to": ["a@example.com", "b@refused.example", "c@example.com"],
        "link_base": "https://wb.example.com"});
    let url = format!("smtp://127.0.0.1:{}", mail.port);
    let given = json!({"dialect": "email", "url": url, "auth": auth, "settings": settings, "tls": {"ca_pem": certificates.ca_pem()}});
    let endpoint = make_endpoint(&mut client, "acme", given).await;
    client.must_post("/api/v1/orgs/acme/events", json!({"type": "vulnerability.created", "data": found("high")})).await;
    let opened = mail.next();
    client
        .must_post("/api/v1/orgs/acme/events", json!({"type": "vulnerability.remediated", "data": found("high")}))
        .await;
    let closed = mail.next();
    for said in [&opened, &closed] {
        assert_eq!((&said["tls"], &said["user"], &said["defects"]), (&json!(true), &json!("watchbell"), &json!([])));
        assert_eq!(said["to"], json!(["a@example.com", "c@example.com"]));
        assert!(said["longest"].as_u64().unwrap() <= 998);
        let headers = &said["headers"];
        assert_eq!(headers["Auto-Submitted"], "auto-generated");
        assert!(
            headers.get("Bcc").is_none() && headers["Subject"].as_str().unwrap().contains("Schwäche |=]"),
            "{headers}"
        );
        assert!(said["text"].as_str().unwrap().contains("CVE: CVE-2019-10744"));
        let html = said["html"].as_str().unwrap();
        assert!(html.contains("&lt;b&gt;&amp;") && !html.contains("<b>&"), "{html}");
    }
    assert_eq!(closed["headers"]["In-Reply-To"], opened["headers"]["Message-ID"]);
    assert_eq!(closed["headers"]["References"], opened["headers"]["Message-ID"]);
    let attempt = first_result(&mut client, endpoint["id"].as_str().unwrap()).await;
    assert_eq!(attempt["result"], "sent", "{attempt}");
    let detail = attempt["detail"].as_str().unwrap();
    assert!(detail.starts_with("250 2.0.0 taken as 42; refused: b@refused.example: 550 5.1.1"), "{detail}");

    // A wrong password, a mailbox that is none, one that is busy, a certificate of nobody's.
    let cases = [
        (
            json!({"auth": {"type": "basic", "username": "watchbell", "password": "another one"}}),
            "rejected",
            "AUTH: 535",
        ),
        (
            json!({"settings": {"from": "w@example.com", "to": ["b@refused.example"]}}),
            "rejected",
            "b@refused.example: 550",
        ),
        (json!({"settings": {"from": "w@example.com", "to": ["b@later.example"]}}), "rejected", "b@later.example: 451"),
        (json!({"tls": null}), "tls_untrusted", ""),
    ];
    for (change, result, detail) in cases {
        let mut given = json!({"dialect": "email", "url": url, "auth": auth, "settings": settings, "tls": {"ca_pem": certificates.ca_pem()}});
        for (name, value) in change.as_object().unwrap() {
            given[name] = value.clone();
        }
        given["events"] = json!(["scan.started"]);
        let endpoint = make_endpoint(&mut client, "acme", given).await;
        client.must_post("/api/v1/orgs/acme/events", json!({"type": "scan.started", "data": {"scan_id": "s"}})).await;
        let attempt = first_result(&mut client, endpoint["id"].as_str().unwrap()).await;
        assert_eq!(attempt["result"], result, "{attempt}");
        assert!(attempt["detail"].as_str().unwrap_or_default().contains(detail), "{attempt}");
        assert!(!attempt.to_string().contains("another one"), "{attempt}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_and_a_bulk_api_take_what_is_found_and_what_is_gone() {
    let Some(mut http) = Receiver::start("collectors.py", &[]) else { return };
    let home = Home::new("");
    let server = home.start();
    let mut client = Client::new(&server.address);
    make_org(&mut client, "acme").await;
    let url = format!("http://127.0.0.1:{}", http.port);
    let splunk = json!({"dialect": "splunk_hec", "url": url, "secret": "B5A79AAD-D822-46CC-80D1-819F80D7BFB0",
        "settings": {"index": "sec", "acknowledge": true}, "max_in_flight": 1});
    let splunk = make_endpoint(&mut client, "acme", splunk).await;
    tell(&mut client).await;
    let mut kinds = Vec::new();
    while kinds.len() < 4 {
        let said = http.next();
        kinds.push(said["kind"].as_str().unwrap().to_owned());
        if said["kind"] == "hec" {
            let event = &said["event"];
            assert_eq!((&event["index"], &event["event"]["data"]["finding_id"]), (&json!("sec"), &json!(FINDING)));
            assert_eq!(event["event"]["data"]["title"], HARD_TEXT);
        }
    }
    kinds.sort();
    assert_eq!(kinds, ["ack", "ack", "hec", "hec"], "acknowledged, each once");
    assert_eq!(first_result(&mut client, splunk["id"].as_str().unwrap()).await["result"], "http_200");

    let key = "VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw==";
    let elastic = json!({"dialect": "elastic", "url": url, "secret": key, "events": ["vulnerability.remediated"]});
    let elastic = make_endpoint(&mut client, "acme", elastic).await;
    client
        .must_post("/api/v1/orgs/acme/events", json!({"type": "vulnerability.remediated", "data": found("low")}))
        .await;
    let document = loop {
        let said = http.next();
        if said["kind"] == "elastic" {
            break said;
        }
    };
    assert_eq!(document["index"], "logs-watchbell.events-default");
    assert_eq!(document["document"]["vulnerability"]["id"], "CVE-2019-10744");
    assert_eq!(document["document"]["event"]["action"], "vulnerability.remediated");
    assert_eq!(first_result(&mut client, elastic["id"].as_str().unwrap()).await["result"], "http_200");
}
