//! What acts do: call the server as a user would, let time pass, and look at what arrives.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use watchbell_wire::EventType;

use super::Error;
use super::receiver::{Arrival, Verdict};
use super::samples::Report;
use super::show::Show;
use super::stage::{Stage, played};
use crate::cli::project_id;
use crate::client::{Request, media_type};

/// How long nothing may arrive before the server is asked whether anything still waits.
const QUIET: Duration = Duration::from_millis(50);

/// How long something may take that a loop of the server does by itself.
const BY_ITSELF: Duration = Duration::from_secs(20);

/// An arrival and how long after acceptance it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) arrival: Arrival,
    pub(super) ms: Option<i64>,
}

/// When arrivals are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    AsItComes,
    Later,
}

/// The play: the stage, what is shown of it, and what was seen so far.
pub(super) struct Play<'a> {
    pub(super) stage: &'a mut Stage,
    pub(super) show: &'a mut Show,
    seen: Vec<Seen>,
}

impl<'a> Play<'a> {
    pub(super) fn begin(stage: &'a mut Stage, show: &'a mut Show) -> Self {
        Self { stage, show, seen: Vec::new() }
    }

    /// Everything that was seen.
    pub(super) fn end(self) -> Vec<Seen> {
        self.seen
    }

    /// The id of a project, made when there is none of this name.
    pub(super) async fn project(&self, name: &str) -> Result<String, Error> {
        let projects = self.stage.path("/projects");
        project_id(&self.stage.client, &projects, name).await.map_err(|failure| Error::SetUp(failure.to_string()))
    }

    /// Posts a scanner's report, and shows what the server made of it.
    pub(super) async fn scan(&mut self, project: &str, report: &Report) -> Result<Value, Error> {
        let path = self.stage.path(&format!("/projects/{project}/scans"));
        let mut request = Request::post(path, &Value::Null);
        request.body = Some((media_type(report.content), Bytes::from_static(report.content)));
        let answer = self.stage.client.json(request).await?;
        self.show.scan(report.name, &answer);
        Ok(answer)
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Error> {
        Ok(self.stage.client.json(Request::get(self.stage.path(path))).await?)
    }

    pub(super) async fn list(&self, path: &str, filter: &[(&'static str, &str)]) -> Result<Vec<Value>, Error> {
        let request = filter
            .iter()
            .fold(Request::get(self.stage.path(path)), |request, (name, value)| request.with(name, Some(value)));
        let page = self.stage.client.json(request).await?;
        Ok(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        Ok(self.stage.client.json(Request::post(self.stage.path(path), body)).await?)
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let mut request = Request::post(self.stage.path(path), body);
        request.method = Method::PUT;
        Ok(self.stage.client.json(request).await?)
    }

    /// The attempts of the newest delivery to the receiver of this name.
    pub(super) async fn attempts_to(&self, name: &str) -> Result<Vec<Value>, Error> {
        let endpoint = self.stage.endpoint_id(name).unwrap_or_default();
        let deliveries = self.list("/deliveries", &[("endpoint", &endpoint)]).await?;
        let Some(id) = deliveries.first().and_then(|delivery| delivery.get("id")).and_then(Value::as_str) else {
            return Ok(Vec::new());
        };
        let delivery = self.get(&format!("/deliveries/{id}")).await?;
        Ok(delivery.get("attempts").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Lets so many days pass at once, for the server, the receiver and the play.
    pub(super) fn pass(&mut self, days: i32) {
        self.stage.clock.push(SignedDuration::from_hours(24 * i64::from(days)));
    }

    /// Waits until nothing waits in the server any more, and shows each arrival as it comes.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        self.arrivals(Shown::AsItComes).await.map(drop)
    }

    /// The same, with a line for each event of each dialect when all are there.
    pub(super) async fn settle_all(&mut self) -> Result<(), Error> {
        let arrived = self.arrivals(Shown::Later).await?;
        self.show.told(&arrived);
        Ok(())
    }

    /// What arrives until nothing waits in the server any more.
    async fn arrivals(&mut self, shown: Shown) -> Result<Vec<Seen>, Error> {
        let accepted_at = self.newest_delivery().await?;
        let mut arrived = Vec::new();
        loop {
            let arrival = tokio::select! {
                biased;
                arrival = self.stage.receiver.arrivals.recv() => arrival,
                () = tokio::time::sleep(QUIET) => None,
            };
            match arrival {
                Some(arrival) => {
                    let ms = accepted_at.map(|accepted_at| arrival.at.duration_since(accepted_at).as_millis());
                    let ms = ms.and_then(|ms| i64::try_from(ms).ok()).map(|ms| ms.max(0));
                    if shown == Shown::AsItComes {
                        self.show.arrival(&arrival, ms);
                    }
                    arrived.push(Seen { arrival, ms });
                }
                None if self.waiting().await? => {}
                // What arrived before the last one was settled is in the channel by now.
                None if self.stage.receiver.arrivals.is_empty() => {
                    self.seen.extend(arrived.iter().cloned());
                    return Ok(arrived);
                }
                None => {}
            }
        }
    }

    /// Waits for exactly these events, each so often, in every dialect that has a word for them, and shows them. Fails when
    /// one does not come or does not verify, or another comes.
    pub(super) async fn told(&mut self, events: &[(EventType, usize)]) -> Result<(), Error> {
        let wanted = in_each_dialect(events);
        let arrived = self.awaited(wanted.values().sum()).await?;
        self.show.told(&arrived);
        exactly(&wanted, &arrived)
    }

    /// Waits for exactly one message to each of these receivers, who each call it by their own word, and for nothing else.
    pub(super) async fn each_told(&mut self, words: &[(&str, &str)]) -> Result<Vec<Seen>, Error> {
        let mut arrived = self.awaited(words.len()).await?;
        arrived.sort_by_key(|seen| words.iter().position(|(name, _)| *name == seen.arrival.name));
        let wanted = words.iter().map(|(name, word)| (((*name).to_owned(), (*word).to_owned()), 1)).collect();
        exactly(&wanted, &arrived)?;
        Ok(arrived)
    }

    /// What arrives until it is as many and nothing waits any more; fewer when they do not come in time.
    async fn awaited(&mut self, count: usize) -> Result<Vec<Seen>, Error> {
        let mut arrived = Vec::new();
        let wait = async {
            loop {
                arrived.extend(self.arrivals(Shown::Later).await?);
                if arrived.len() >= count {
                    return Ok::<(), Error>(());
                }
            }
        };
        tokio::time::timeout(BY_ITSELF, wait).await.unwrap_or(Ok(()))?;
        Ok(arrived)
    }

    /// When what was posted last was accepted: its deliveries are the newest.
    async fn newest_delivery(&self) -> Result<Option<Timestamp>, Error> {
        let newest = self.list("/deliveries", &[("limit", "1")]).await?;
        let at = newest.first().and_then(|delivery| delivery.get("created_at")).and_then(Value::as_str);
        Ok(at.and_then(|text| text.parse().ok()))
    }

    /// Whether any delivery is not in its last state.
    async fn waiting(&self) -> Result<bool, Error> {
        for state in ["pending", "sending"] {
            if !self.list("/deliveries", &[("state", state), ("limit", "1")]).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// How often each receiver is told each event, by its name and its word for it.
type Told = BTreeMap<(String, String), usize>;

/// What each dialect of the play calls these events.
fn in_each_dialect(events: &[(EventType, usize)]) -> Told {
    let mut names = BTreeMap::new();
    for dialect in played() {
        for (event_type, count) in events {
            let name = dialect.outbound.and_then(|outbound| outbound.event_name(event_type));
            if let Some(name) = name {
                *names.entry((dialect.id.to_owned(), name.into_owned())).or_default() += count;
            }
        }
    }
    names
}

/// What arrived is what was wanted, and nothing else; or what differs.
fn exactly(wanted: &Told, arrived: &[Seen]) -> Result<(), Error> {
    let mut came = Told::new();
    for Seen { arrival, .. } in arrived {
        let word = match &arrival.verdict {
            Verdict::Verified(said) => said.event.clone(),
            Verdict::Down => "(receiver down)".to_owned(),
            Verdict::Refused(why) => format!("(refused: {why})"),
        };
        *came.entry((arrival.name.clone(), word)).or_default() += 1;
    }
    if came == *wanted {
        return Ok(());
    }
    let tell = |of: &Told, not: &Told| {
        let differing = of.iter().filter(|(key, count)| not.get(key) != Some(count));
        differing.map(|((name, word), count)| format!("{name} {word} x{count}")).collect::<Vec<_>>().join(", ")
    };
    Err(Error::NotVerified(format!("wanted: {}; came: {}", tell(wanted, &came), tell(&came, wanted))))
}

/// The project's finding of this name.
pub(super) async fn named(play: &Play<'_>, project: &str, name: &str) -> Result<Value, Error> {
    let findings = play.list("/findings", &[("project", project), ("limit", "250")]).await?;
    let is_named = |finding: &&Value| {
        let aliases = finding.get("aliases").and_then(Value::as_array).into_iter().flatten();
        let own = ["cve_id", "rule_id"].into_iter().filter_map(|own| finding.get(own));
        own.chain(aliases).any(|given| given.as_str() == Some(name))
    };
    let mut with_name = findings.iter().filter(is_named);
    match (with_name.next(), with_name.next()) {
        (Some(one), None) => Ok(one.clone()),
        (None, _) => Err(Error::NotVerified(format!("no finding is named {name}"))),
        (Some(_), Some(_)) => Err(Error::NotVerified(format!("more than one finding is named {name}"))),
    }
}

/// A member that is text; empty where it is none.
pub(super) fn member(of: &Value, name: &str) -> String {
    of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What the API shows of something is this.
pub(super) fn expect(what: &str, shown: &Value, wanted: &[(&str, &str)]) -> Result<(), Error> {
    for (name, wanted) in wanted {
        let value = shown.get(*name).unwrap_or(&Value::Null);
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if value != *wanted {
            return Err(Error::NotVerified(format!("{what}: {name} is {value}, and ought to be {wanted}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::services::Said;

    fn seen(name: &str, verdict: Verdict) -> Seen {
        let dialect = watchbell_wire::dialect::ALL.first().copied().unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let arrival = Arrival { name: name.to_owned(), dialect, at, number: 1, verdict, headers: Vec::new() };
        Seen { arrival, ms: None }
    }

    #[test]
    fn what_is_missing_doubled_other_or_refused_is_named() {
        let said = |event: &str| Verdict::Verified(Said { event: event.to_owned(), ..Said::default() });
        let wanted: Told = [("teams", "a"), ("slack", "a")].map(|(name, word)| ((name.into(), word.into()), 1)).into();
        let fault = |arrived: &[Seen]| exactly(&wanted, arrived).map_err(|error| error.to_string());
        let (teams, slack) = (seen("teams", said("a")), seen("slack", said("a")));
        assert_eq!(fault(&[slack.clone(), teams.clone()]), Ok(()));
        let cases = [
            (vec![teams.clone()], "wanted: slack a x1; came: "),
            (vec![teams.clone(), teams.clone(), slack.clone()], "wanted: teams a x1; came: teams a x2"),
            (vec![teams.clone(), slack, seen("teams", said("b"))], "wanted: ; came: teams b x1"),
            (
                vec![teams, seen("slack", Verdict::Refused("no_text".to_owned()))],
                "wanted: slack a x1; came: slack (refused: no_text) x1",
            ),
        ];
        for (arrived, named) in cases {
            assert_eq!(fault(&arrived), Err(named.to_owned()));
        }
    }
}
