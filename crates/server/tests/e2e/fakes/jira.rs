//! Jira: project `SEC`, the types `Task` and `Bug`, one workflow.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{Call, Reply, has_only, is_text};

/// Who may.
pub(crate) const LOGIN: &str = "bot@example.com:ATATT3xFfGF0T5JNjBhnIN";

/// One issue.
pub(crate) struct Issue {
    pub(crate) fields: Value,
    properties: Value,
    pub(crate) comments: Vec<Value>,
    pub(crate) is_done: bool,
}

#[derive(Default)]
pub(crate) struct Jira {
    /// `SEC-1` is the first.
    pub(crate) issues: Vec<Issue>,
    /// From here on answers are lost on the way: 503.
    pub(crate) fails_after: Option<usize>,
    /// How many requests there were.
    pub(crate) requests: usize,
}

impl Jira {
    pub(super) fn take(&mut self, call: &Call) -> Reply {
        self.requests += 1;
        if call.header("authorization") != format!("Basic {}", BASE64.encode(LOGIN)) {
            return Reply::json(401, &json!({"errorMessages": ["You do not have the permission"], "errors": {}}));
        }
        let reply = self.done(call);
        match &mut self.fails_after {
            Some(0) => {
                // It was done, and nobody hears of it.
                self.fails_after = None;
                Reply::text(503, "")
            }
            Some(left) => {
                *left -= 1;
                reply
            }
            None => reply,
        }
    }

    fn done(&mut self, call: &Call) -> Reply {
        let path = call.path.strip_prefix("/rest/api/3/").unwrap();
        let parts: Vec<_> = path.split('/').collect();
        let is_get = call.method == http::Method::GET;
        let body = call.json();
        match (&parts[..], body) {
            (["search", "jql"], Some(search)) => self.search(&search),
            (["issue"], Some(issue)) => self.create(&issue),
            (["issue", key, "comment"], body) => match (self.issue(key), body) {
                (None, _) => missing(),
                (Some(issue), None) if is_get => Reply::json(200, &json!({"comments": issue.comments})),
                (Some(_), None) => wrong("comment", "a body is wanted"),
                (Some(_), Some(comment)) if !is_document(&comment["body"]) => wrong("comment", "not a document"),
                (Some(issue), Some(comment)) => {
                    issue.comments.push(comment);
                    Reply::json(201, &json!({"id": "10000"}))
                }
            },
            (["issue", key, "transitions"], body) => {
                let status = |name: &str, category: &str| json!({"name": name, "statusCategory": {"key": category}});
                let transitions = json!([
                    {"id": "11", "name": "Start", "to": status("In Progress", "indeterminate")},
                    {"id": "31", "name": "Finish", "to": status("Done", "done")},
                    {"id": "41", "name": "Reject", "to": status("Won't do", "done")},
                ]);
                match (self.issue(key), body) {
                    (None, _) => missing(),
                    (Some(_), None) => Reply::json(200, &json!({"transitions": transitions})),
                    (Some(issue), Some(body)) => match body["transition"]["id"].as_str() {
                        Some("31" | "41") => {
                            issue.is_done = true;
                            Reply::text(204, "")
                        }
                        _ => wrong("transition", "no such transition"),
                    },
                }
            }
            _ => missing(),
        }
    }

    fn issue(&mut self, key: &str) -> Option<&mut Issue> {
        let number: usize = key.strip_prefix("SEC-")?.parse().ok()?;
        self.issues.get_mut(number.checked_sub(1)?)
    }

    fn search(&self, search: &Value) -> Reply {
        let jql = search["jql"].as_str().unwrap_or_default();
        let quoted: Vec<_> = jql.split('"').collect();
        let [r"project = ", "SEC", " AND labels = ", label, " ORDER BY created DESC"] = quoted[..] else {
            return wrong("jql", "Error in the JQL Query");
        };
        let found = self.issues.iter().enumerate().rev().filter(|(_, issue)| {
            issue.fields["labels"].as_array().is_some_and(|labels| labels.iter().any(|known| known == label))
        });
        let shown = found.map(|(place, issue)| {
            let category = if issue.is_done { "done" } else { "new" };
            json!({"id": place.to_string(), "key": format!("SEC-{}", place + 1), "properties": issue.properties,
                "fields": {"status": {"name": "S", "statusCategory": {"key": category}}}})
        });
        Reply::json(200, &json!({"issues": shown.collect::<Vec<_>>(), "isLast": true}))
    }

    fn create(&mut self, issue: &Value) -> Reply {
        let fields = &issue["fields"];
        let labels = fields["labels"].as_array().cloned().unwrap_or_default();
        let is_label = |label: &Value| is_text(label, 1..=255) && !label.as_str().unwrap().contains(' ');
        let faults = [
            (fields["project"]["key"] != "SEC", "project", "valid project is required"),
            (
                !["Task", "Bug"].contains(&fields["issuetype"]["name"].as_str().unwrap_or_default()),
                "issuetype",
                "valid type is required",
            ),
            (
                !is_text(&fields["summary"], 1..=255) || fields["summary"].as_str().unwrap().contains('\n'),
                "summary",
                "invalid",
            ),
            (!is_document(&fields["description"]), "description", "Operation value must be an Atlassian Document"),
            (!labels.iter().all(is_label), "labels", "The label contains spaces which is invalid."),
            (
                !has_only(fields, &["project", "issuetype", "summary", "description", "labels", "priority"]),
                "fields",
                "unknown",
            ),
        ];
        if let Some((_, member, fault)) = faults.into_iter().find(|(is_so, ..)| *is_so) {
            return wrong(member, fault);
        }
        let properties = issue["properties"].as_array().cloned().unwrap_or_default();
        let properties = properties.iter().map(|one| (one["key"].as_str().unwrap().to_owned(), one["value"].clone()));
        self.issues.push(Issue {
            fields: fields.clone(),
            properties: Value::Object(properties.collect()),
            comments: Vec::new(),
            is_done: false,
        });
        let key = format!("SEC-{}", self.issues.len());
        Reply::json(
            201,
            &json!({"id": "10000", "key": key, "self": format!("https://acme.atlassian.net/rest/api/3/issue/{key}")}),
        )
    }
}

fn missing() -> Reply {
    Reply::json(
        404,
        &json!({"errorMessages": ["Issue does not exist or you do not have permission to see it."], "errors": {}}),
    )
}

fn wrong(member: &str, fault: &str) -> Reply {
    Reply::json(400, &json!({"errorMessages": [], "errors": {member: fault}}))
}

/// An Atlassian document, as far as its schema is simple.
fn is_document(document: &Value) -> bool {
    document["type"] == "doc" && document["version"] == 1 && has_nodes(document, &["paragraph", "bulletList"])
}

fn has_nodes(parent: &Value, kinds: &[&str]) -> bool {
    parent["content"].as_array().is_some_and(|nodes| {
        nodes.iter().all(|node| {
            let Some(kind) = node["type"].as_str().filter(|kind| kinds.contains(kind)) else { return false };
            match kind {
                "paragraph" => has_nodes(node, &["text"]),
                "bulletList" => has_nodes(node, &["listItem"]),
                "listItem" => has_nodes(node, &["paragraph"]),
                _ => {
                    let marks = node["marks"].as_array().cloned().unwrap_or_default();
                    is_text(&node["text"], 1..=32_767)
                        && marks.iter().all(|mark| mark["type"] == "link" && is_text(&mark["attrs"]["href"], 1..=2000))
                }
            }
        })
    })
}
