-- Ids are BLOB(16), times INTEGER microseconds since 1970, states and reasons the names of the API.
-- Rows of an organisation are keyed by it first: there is no way to a row but through its owner.

CREATE TABLE sealing_key (
  key_id BLOB NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE org_group (
  id         BLOB    NOT NULL PRIMARY KEY,
  name       TEXT    NOT NULL UNIQUE,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- `settling` while not all follows yet from the last change of `state`.
CREATE TABLE org (
  id          BLOB    NOT NULL PRIMARY KEY,
  slug        TEXT    NOT NULL UNIQUE,
  name        TEXT    NOT NULL,
  weight      INTEGER NOT NULL DEFAULT 1,
  created_at  INTEGER NOT NULL,
  group_id    BLOB    REFERENCES org_group (id),
  state       TEXT    NOT NULL DEFAULT 'active',
  state_since INTEGER,
  settling    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX org_of_group ON org (group_id, id) WHERE group_id IS NOT NULL;
CREATE INDEX org_settling ON org (id) WHERE settling = 1;

-- `invitation` is the hash of a token that becomes a key.
CREATE TABLE member (
  org_id           BLOB    NOT NULL REFERENCES org (id),
  id               BLOB    NOT NULL,
  email            TEXT    NOT NULL,
  name             TEXT    NOT NULL,
  role             TEXT    NOT NULL,
  invitation       BLOB    UNIQUE,
  invitation_until INTEGER,
  created_at       INTEGER NOT NULL,
  joined_at        INTEGER,
  PRIMARY KEY (org_id, id),
  UNIQUE (org_id, email)
) STRICT, WITHOUT ROWID;

-- `root` marks the one key that the server's configuration names. Without an organisation a key is good for those of its
-- group, or for all.
CREATE TABLE api_key (
  id         BLOB    NOT NULL PRIMARY KEY,
  org_id     BLOB    REFERENCES org (id),
  name       TEXT    NOT NULL,
  scopes     TEXT    NOT NULL,
  hash       BLOB    NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER,
  root       INTEGER NOT NULL DEFAULT 0,
  group_id   BLOB    REFERENCES org_group (id),
  member_id  BLOB,
  last_used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_key_org ON api_key (org_id, id);
CREATE INDEX api_key_group ON api_key (group_id, id) WHERE group_id IS NOT NULL;
CREATE UNIQUE INDEX api_key_root ON api_key (root) WHERE root = 1;

-- `answer` is sealed.
CREATE TABLE idempotency (
  org_id     BLOB    NOT NULL,
  key        TEXT    NOT NULL,
  request    BLOB    NOT NULL,
  answer     BLOB    NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (org_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency (created_at);

-- `secrets`, `headers` and `transport` are sealed.
CREATE TABLE endpoint (
  org_id         BLOB    NOT NULL REFERENCES org (id),
  id             BLOB    NOT NULL,
  url            BLOB    NOT NULL,
  dialect        TEXT    NOT NULL,
  description    TEXT,
  events         TEXT,
  state          TEXT    NOT NULL,
  state_since    INTEGER,
  state_reason   TEXT,
  secrets        BLOB    NOT NULL,
  headers        BLOB    NOT NULL,
  retry_schedule TEXT,
  timeout        INTEGER,
  max_in_flight  INTEGER,
  max_attempts   INTEGER,
  rate_limit     TEXT,
  ordered        TEXT    NOT NULL DEFAULT 'any',
  min_severity   TEXT,
  storm_threshold INTEGER,
  transport      BLOB,
  settings       TEXT,
  rules          TEXT,
  -- How deliveries gather into digests, as JSON; none where each goes out by itself.
  batch          TEXT,
  not_before     INTEGER,
  created_at     INTEGER NOT NULL,
  updated_at     INTEGER NOT NULL,
  PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;

-- Endpoints that have had nothing but failures: since when, and how often, as far as that matters. No row: all is well.
CREATE TABLE endpoint_failing (
  org_id      BLOB    NOT NULL,
  endpoint_id BLOB    NOT NULL,
  since       INTEGER NOT NULL,
  attempts    INTEGER NOT NULL,
  PRIMARY KEY (org_id, endpoint_id)
) STRICT, WITHOUT ROWID;

-- Endpoints whose rules could not be asked about an event, since they were last changed. No row: all is well.
CREATE TABLE rule_failure (
  org_id      BLOB    NOT NULL,
  endpoint_id BLOB    NOT NULL,
  since       INTEGER NOT NULL,
  last_at     INTEGER NOT NULL,
  events      INTEGER NOT NULL,
  event_id    BLOB    NOT NULL,
  why         TEXT    NOT NULL,
  PRIMARY KEY (org_id, endpoint_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE project (
  org_id       BLOB    NOT NULL REFERENCES org (id),
  id           BLOB    NOT NULL,
  name         TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  version      INTEGER NOT NULL,
  last_scan_at INTEGER,
  owner        TEXT,
  labels       TEXT    NOT NULL DEFAULT '{}',
  -- The name in the spelling by which vendors' names of it are found.
  match_name   TEXT    NOT NULL,
  PRIMARY KEY (org_id, id),
  UNIQUE (org_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX project_match ON project (org_id, match_name, id);

CREATE TABLE scan (
  org_id           BLOB    NOT NULL,
  id               BLOB    NOT NULL,
  project_id       BLOB    NOT NULL,
  tool             TEXT    NOT NULL,
  received_at      INTEGER NOT NULL,
  status           TEXT    NOT NULL,
  findings_seen    INTEGER NOT NULL,
  findings_new     INTEGER NOT NULL,
  findings_removed INTEGER NOT NULL,
  error            TEXT,
  PRIMARY KEY (org_id, id),
  FOREIGN KEY (org_id, project_id) REFERENCES project (org_id, id)
) STRICT, WITHOUT ROWID;

-- Findings and their life.
-- `observation`, `sights`, `names` and `judgement` are JSON; `severity` and `accepted_until` stand in them too and
-- are here to be looked for. What was merged into another stays as a row that leads there.
CREATE TABLE finding (
  number         INTEGER PRIMARY KEY,
  org_id         BLOB    NOT NULL,
  id             BLOB    NOT NULL,
  project_id     BLOB    NOT NULL,
  identity       TEXT    NOT NULL,
  names          TEXT    NOT NULL,
  status         TEXT    NOT NULL,
  severity       TEXT    NOT NULL,
  observation    TEXT    NOT NULL,
  sights         TEXT    NOT NULL,
  judgement      TEXT,
  accepted_until INTEGER,
  first_seen_at  INTEGER NOT NULL,
  last_seen_at   INTEGER NOT NULL,
  remediated_at  INTEGER,
  merged_into    BLOB,
  changes        INTEGER NOT NULL,
  UNIQUE (org_id, id),
  UNIQUE (org_id, project_id, identity),
  FOREIGN KEY (org_id, project_id) REFERENCES project (org_id, id)
) STRICT;
CREATE INDEX finding_project ON finding (org_id, project_id, id);
CREATE INDEX finding_merged ON finding (org_id, merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX finding_accepted ON finding (accepted_until) WHERE accepted_until IS NOT NULL;

-- What leads to a finding: digests of its place with each of its names, and of each of its witnesses. A digest may lead to
-- one that is no longer called so.
CREATE TABLE finding_digest (
  org_id     BLOB NOT NULL,
  project_id BLOB NOT NULL,
  digest     BLOB NOT NULL,
  finding_id BLOB NOT NULL,
  PRIMARY KEY (org_id, project_id, digest, finding_id)
) STRICT, WITHOUT ROWID;

-- A finding's history: one row a transition, added and never changed. `changed_by` is JSON. Ids sort by when they were made.
CREATE TABLE finding_change (
  org_id      BLOB    NOT NULL,
  finding_id  BLOB    NOT NULL,
  id          BLOB    NOT NULL,
  number      INTEGER NOT NULL,
  changed_at  INTEGER NOT NULL,
  from_status TEXT,
  to_status   TEXT    NOT NULL,
  changed_by  TEXT    NOT NULL,
  reason      TEXT    NOT NULL,
  PRIMARY KEY (org_id, finding_id, id)
) STRICT, WITHOUT ROWID;

-- Up to when a tool has looked, at everything (an empty target) or at one: what an older scan is measured by.
CREATE TABLE scan_coverage (
  org_id     BLOB    NOT NULL,
  project_id BLOB    NOT NULL,
  tool       TEXT    NOT NULL,
  target     TEXT    NOT NULL,
  looked_at  INTEGER NOT NULL,
  PRIMARY KEY (org_id, project_id, tool, target),
  FOREIGN KEY (org_id, project_id) REFERENCES project (org_id, id)
) STRICT, WITHOUT ROWID;

-- What VEX documents stated, for findings that come later. `key` is a hash of names and products, `place` the order of one
-- document.
CREATE TABLE vex_statement (
  org_id     BLOB    NOT NULL,
  project_id BLOB    NOT NULL,
  key        BLOB    NOT NULL,
  at         INTEGER NOT NULL,
  place      INTEGER NOT NULL,
  scan_id    BLOB    NOT NULL,
  tool       TEXT    NOT NULL,
  statement  TEXT    NOT NULL,
  PRIMARY KEY (org_id, project_id, key),
  FOREIGN KEY (org_id, project_id) REFERENCES project (org_id, id)
) STRICT, WITHOUT ROWID;

-- `data` is the JSON text as it was posted, byte for byte. `skipped` is 17 bytes an endpoint: id, reason.
-- The rows are large: by number they stand in leaf pages alone, several to a page, and the index beside them is small.
-- From here on no foreign key between what grows: who writes a delivery has its event in hand, and a check costs as much
-- as the write.
CREATE TABLE event (
  number      INTEGER PRIMARY KEY,
  org_id      BLOB    NOT NULL REFERENCES org (id),
  id          BLOB    NOT NULL,
  type        TEXT    NOT NULL,
  occurred_at INTEGER NOT NULL,
  accepted_at INTEGER NOT NULL,
  erased_at   INTEGER,
  project_id  BLOB,
  skipped     BLOB,
  hops        INTEGER,
  -- The source that it came in by, which may be gone.
  source_id   BLOB,
  data        TEXT    NOT NULL,
  UNIQUE (org_id, id),
  FOREIGN KEY (org_id, project_id) REFERENCES project (org_id, id)
) STRICT;
CREATE INDEX event_project ON event (org_id, project_id, id) WHERE project_id IS NOT NULL;

-- Deliveries handed to the loop as they were made, until they are heard of: 32 bytes each, its id and its endpoint's.
-- Those that have a row in `delivery` were heard of.
CREATE TABLE handed_over (
  event_number INTEGER PRIMARY KEY,
  lease_until  INTEGER NOT NULL,
  deliveries   BLOB    NOT NULL
) STRICT;

-- No foreign key to the endpoint: history outlives it.
CREATE TABLE delivery (
  org_id           BLOB    NOT NULL,
  id               BLOB    NOT NULL,
  event_id         BLOB    NOT NULL,
  endpoint_id      BLOB    NOT NULL,
  state            TEXT    NOT NULL,
  due_at           INTEGER,
  lease            INTEGER NOT NULL DEFAULT 0,
  lease_until      INTEGER,
  claimed_at       INTEGER,
  ended_at         INTEGER,
  reason           TEXT,
  attempts         INTEGER NOT NULL DEFAULT 0,
  attempts_counted INTEGER NOT NULL DEFAULT 0,
  created_at       INTEGER NOT NULL,
  replay_of        BLOB,
  order_key        BLOB,
  PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_pending ON delivery (endpoint_id, due_at, id) WHERE state = 'pending';
-- Those that wait to be sent again, by age: for endpoints that are served in order.
CREATE INDEX delivery_tried ON delivery (endpoint_id, id) WHERE state = 'pending' AND lease > 0;
-- Those that were never claimed, by age: the first attempts' share of an endpoint.
CREATE INDEX delivery_untried ON delivery (endpoint_id, due_at, id) WHERE state = 'pending' AND lease = 0;
-- Those that wait in order by project: the first of each key is its head.
CREATE INDEX delivery_keyed ON delivery (endpoint_id, order_key, id) WHERE state = 'pending' AND order_key IS NOT NULL;
CREATE INDEX delivery_sending ON delivery (endpoint_id, lease_until) WHERE state = 'sending';
CREATE INDEX delivery_held ON delivery (endpoint_id) WHERE state = 'held';
-- States that few rows enter, and none on the way from accepted to delivered: what is looked for among a million.
CREATE INDEX delivery_rare ON delivery (org_id, state, id)
  WHERE state = 'dead_lettered' OR state = 'cancelled' OR state = 'held';
CREATE INDEX delivery_rare_endpoint ON delivery (endpoint_id, state, id)
  WHERE state = 'dead_lettered' OR state = 'cancelled' OR state = 'held';
CREATE INDEX delivery_endpoint ON delivery (endpoint_id, id);
CREATE INDEX delivery_event ON delivery (event_id);

CREATE TABLE attempt (
  org_id      BLOB    NOT NULL,
  delivery_id BLOB    NOT NULL,
  number      INTEGER NOT NULL,
  started_at  INTEGER NOT NULL,
  duration    INTEGER NOT NULL,
  result      TEXT    NOT NULL,
  detail      TEXT,
  status      INTEGER,
  headers     TEXT,
  body        BLOB,
  truncated   INTEGER,
  PRIMARY KEY (org_id, delivery_id, number)
) STRICT, WITHOUT ROWID;

-- The body as the first attempt made it, while there may be another attempt.
CREATE TABLE delivery_body (
  org_id      BLOB NOT NULL,
  delivery_id BLOB NOT NULL,
  body        BLOB NOT NULL,
  PRIMARY KEY (org_id, delivery_id)
) STRICT, WITHOUT ROWID;

-- A replay that takes its time. `of_state` and what follows it are its filter, `cursor` is the last delivery it looked at.
CREATE TABLE replay (
  org_id      BLOB    NOT NULL REFERENCES org (id),
  id          BLOB    NOT NULL,
  endpoint_id BLOB,
  of_state    TEXT,
  reason      TEXT,
  event_type  TEXT,
  since       INTEGER,
  until       INTEGER NOT NULL,
  made_max    INTEGER,
  per_second  INTEGER NOT NULL,
  matched     INTEGER,
  created_at  INTEGER NOT NULL,
  state       TEXT    NOT NULL,
  ended_at    INTEGER,
  cursor      BLOB,
  looked_at   INTEGER NOT NULL,
  made        INTEGER NOT NULL,
  PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX replay_running ON replay (org_id, id) WHERE state = 'running';

-- A search for a subject, which is sealed while it runs and forgotten then. `cursor` is the last event it looked at.
CREATE TABLE erasure (
  org_id     BLOB    NOT NULL REFERENCES org (id),
  id         BLOB    NOT NULL,
  subject    BLOB,
  created_at INTEGER NOT NULL,
  ended_at   INTEGER,
  cursor     BLOB,
  looked_at  INTEGER NOT NULL,
  erased     INTEGER NOT NULL,
  PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX erasure_running ON erasure (org_id, id) WHERE ended_at IS NULL;

-- The audit log: one chain an organisation, the operators' under the nil id. `entry` is canonical JSON that names the hash
-- of the entry before it, `hash` is SHA-256 of it; what is looked for by is taken out of `entry`, so that they cannot differ.
-- No foreign key: the log outlives the organisation.
CREATE TABLE audit (
  org_id  BLOB    NOT NULL,
  number  INTEGER NOT NULL,
  entry   TEXT    NOT NULL,
  hash    BLOB    NOT NULL,
  at      TEXT    GENERATED ALWAYS AS (json_extract(entry, '$.at')) VIRTUAL,
  action  TEXT    GENERATED ALWAYS AS (json_extract(entry, '$.action')) VIRTUAL,
  actor   TEXT    GENERATED ALWAYS AS (json_extract(entry, '$.actor.id')) VIRTUAL,
  subject TEXT    GENERATED ALWAYS AS (json_extract(entry, '$.subject')) VIRTUAL,
  PRIMARY KEY (org_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_action ON audit (org_id, action, number);
CREATE INDEX audit_actor ON audit (org_id, actor, number);
CREATE INDEX audit_subject ON audit (org_id, subject, number);
-- The last entry that was dropped for its age: what the first one that is there is bound to.
CREATE TABLE audit_checkpoint (
  org_id BLOB    NOT NULL PRIMARY KEY,
  number INTEGER NOT NULL,
  hash   BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
  BEGIN SELECT raise(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_is_dropped_by_age_alone BEFORE DELETE ON audit
  WHEN OLD.number > ifnull((SELECT number FROM audit_checkpoint WHERE org_id = OLD.org_id), 0)
  BEGIN SELECT raise(ABORT, 'the audit log is only added to'); END;

-- Advisories, shared by all organisations. `document` is JSON. The packages that each is about stand beside it, without the
-- release of a distribution: most are looked for by name.
CREATE TABLE advisory (
  id       TEXT    NOT NULL PRIMARY KEY,
  modified INTEGER NOT NULL,
  document TEXT    NOT NULL
) STRICT;
CREATE TABLE advisory_package (
  ecosystem TEXT NOT NULL,
  name      TEXT NOT NULL,
  advisory  TEXT NOT NULL REFERENCES advisory (id),
  PRIMARY KEY (ecosystem, name, advisory)
) STRICT, WITHOUT ROWID;
CREATE INDEX advisory_package_of ON advisory_package (advisory);

-- Evidence: what is known of uploaded documents. The content is a file named by its SHA-256.
CREATE TABLE evidence (
  org_id          BLOB    NOT NULL REFERENCES org (id),
  id              BLOB    NOT NULL,
  project_id      BLOB,
  file_name       TEXT    NOT NULL,
  media_type      TEXT    NOT NULL,
  sha256          BLOB    NOT NULL,
  bytes           INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  state           TEXT    NOT NULL,
  ended_at        INTEGER,
  error           TEXT,
  format          TEXT,
  components      INTEGER NOT NULL DEFAULT 0,
  vulnerabilities INTEGER NOT NULL DEFAULT 0,
  critical        INTEGER NOT NULL DEFAULT 0,
  high            INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, id),
  FOREIGN KEY (org_id, project_id) REFERENCES project (org_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_project ON evidence (org_id, project_id, id) WHERE project_id IS NOT NULL;
CREATE INDEX evidence_content ON evidence (org_id, sha256);
CREATE INDEX evidence_waiting ON evidence (created_at) WHERE ended_at IS NULL;
CREATE INDEX evidence_ended ON evidence (ended_at) WHERE ended_at IS NOT NULL;

-- Plans of action: how an organisation's items ring, and which findings get one by themselves (JSON).
CREATE TABLE poam_setting (
  org_id    BLOB NOT NULL PRIMARY KEY REFERENCES org (id),
  time_zone TEXT NOT NULL DEFAULT 'UTC',
  leads     TEXT NOT NULL,
  overdue   TEXT NOT NULL,
  policy    TEXT NOT NULL DEFAULT '{"rules":[]}'
) STRICT, WITHOUT ROWID;

-- `about` and `milestones` are JSON. `told` is how far along its time an item has rung, `next_ring_at` when to look at it
-- again. No foreign key to the finding: events speak of findings that have no row here.
CREATE TABLE poam_item (
  org_id       BLOB    NOT NULL REFERENCES org (id),
  id           BLOB    NOT NULL,
  finding_id   BLOB    NOT NULL,
  project_id   BLOB,
  about        TEXT    NOT NULL,
  title        TEXT,
  owner        TEXT,
  notes        TEXT,
  due          TEXT    NOT NULL,
  deadline_at  INTEGER NOT NULL,
  milestones   TEXT    NOT NULL,
  state        TEXT    NOT NULL,
  state_at     INTEGER,
  completed_by TEXT,
  origin       TEXT    NOT NULL,
  told         INTEGER,
  next_ring_at INTEGER,
  version      INTEGER NOT NULL,
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX poam_item_ring ON poam_item (next_ring_at) WHERE next_ring_at IS NOT NULL;
CREATE INDEX poam_item_finding ON poam_item (org_id, finding_id);

-- The catalogue of known exploited vulnerabilities, for every organisation, and the one row about it.
CREATE TABLE kev (
  cve_id TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TABLE kev_catalogue (
  only        INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
  version     TEXT    NOT NULL,
  count       INTEGER NOT NULL,
  imported_at INTEGER NOT NULL
) STRICT;

-- Completed lessons.
CREATE TABLE training (
  org_id       BLOB    NOT NULL REFERENCES org (id),
  id           BLOB    NOT NULL,
  user_email   TEXT    NOT NULL,
  user_name    TEXT,
  lesson       TEXT    NOT NULL,
  lesson_id    TEXT,
  score        INTEGER NOT NULL,
  started_at   INTEGER NOT NULL,
  completed_at INTEGER NOT NULL,
  created_at   INTEGER NOT NULL,
  PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX training_time ON training (org_id, created_at, id);

-- Scans that are announced and ended by a word.
CREATE TABLE scan_run (
  org_id        BLOB    NOT NULL,
  id            BLOB    NOT NULL,
  project_id    BLOB    NOT NULL,
  tool          TEXT,
  started_at    INTEGER NOT NULL,
  state         TEXT    NOT NULL,
  ended_at      INTEGER,
  threats_found INTEGER,
  error         TEXT,
  PRIMARY KEY (org_id, id),
  FOREIGN KEY (org_id, project_id) REFERENCES project (org_id, id)
) STRICT, WITHOUT ROWID;

-- Capture inboxes. `token` stands in the path and lets write alone; `answer` is JSON. Of a request the body is sealed, and
-- so is the rest of it (JSON): both hold what others keep secret. `bytes` is what it counts for.
CREATE TABLE capture (
  org_id      BLOB    NOT NULL REFERENCES org (id),
  id          BLOB    NOT NULL,
  token       BLOB    NOT NULL UNIQUE,
  name        TEXT    NOT NULL,
  answer      TEXT    NOT NULL,
  created_at  INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL,
  last_number INTEGER NOT NULL DEFAULT 0,
  kept        INTEGER NOT NULL DEFAULT 0,
  kept_bytes  INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (org_id, id),
  UNIQUE (org_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX capture_expiry ON capture (expires_at);
CREATE TABLE capture_request (
  org_id      BLOB    NOT NULL,
  capture_id  BLOB    NOT NULL,
  number      INTEGER NOT NULL,
  id          BLOB    NOT NULL,
  received_at INTEGER NOT NULL,
  bytes       INTEGER NOT NULL,
  head        BLOB    NOT NULL,
  body        BLOB    NOT NULL,
  PRIMARY KEY (org_id, capture_id, number),
  FOREIGN KEY (org_id, capture_id) REFERENCES capture (org_id, id)
) STRICT;
CREATE UNIQUE INDEX capture_request_id ON capture_request (org_id, capture_id, id);
CREATE INDEX capture_request_age ON capture_request (received_at);

-- Event types of an organisation's own. `schema` and `example` are JSON. Events do not refer to it: they outlive it.
CREATE TABLE custom_type (
  org_id      BLOB    NOT NULL REFERENCES org (id),
  name        TEXT    NOT NULL,
  description TEXT    NOT NULL,
  schema      TEXT,
  example     TEXT,
  version     INTEGER NOT NULL,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  PRIMARY KEY (org_id, name)
) STRICT, WITHOUT ROWID;

-- Sources, and the requests they called with.
-- `secrets` is sealed; `allowed_ips` and `settings` are JSON. `silent_told` is the last call that a silence was told after.
CREATE TABLE source (
  org_id        BLOB    NOT NULL REFERENCES org (id),
  id            BLOB    NOT NULL UNIQUE,
  name          TEXT    NOT NULL,
  dialect       TEXT    NOT NULL,
  secrets       BLOB    NOT NULL,
  allowed_ips   TEXT    NOT NULL,
  rate_limit    TEXT,
  max_event_age TEXT,
  settings      TEXT    NOT NULL,
  paused_since  INTEGER,
  silent_told   BLOB,
  created_at    INTEGER NOT NULL,
  updated_at    INTEGER NOT NULL,
  PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;

-- `kind` tells what was taken (0) from what was repeated (1) or refused (2): of the last two so many of each source are
-- kept. `address` is one of IPv6, `headers` is packed, `events` is 16 bytes each. `bytes` is what the row weighs. No foreign key to the source:
-- receipts outlive it.
CREATE TABLE receipt (
  number       INTEGER PRIMARY KEY,
  org_id       BLOB    NOT NULL,
  id           BLOB    NOT NULL,
  source_id    BLOB    NOT NULL,
  kind         INTEGER NOT NULL,
  verdict      TEXT    NOT NULL,
  status       INTEGER NOT NULL,
  received_at  INTEGER NOT NULL,
  address      BLOB,
  method       TEXT    NOT NULL,
  headers      BLOB    NOT NULL,
  body_bytes   INTEGER,
  detail       TEXT,
  vendor_event TEXT,
  events       BLOB,
  of_receipt   BLOB,
  bytes        INTEGER NOT NULL,
  body         BLOB    NOT NULL,
  UNIQUE (org_id, id)
) STRICT;
CREATE INDEX receipt_source ON receipt (source_id, kind, id, bytes);

-- By what requests are known again: digests of their source and one of their names. They say nothing of whom they are of,
-- and go by age. The newest stand in the log alone, those of a commit in a row, until they are moved, in rounds through
-- all digests: `after` is how far a round has come; the log's rows up to `began_at` are what it moves, and those up to
-- `moved_up_to` were moved by the ones before. A slice is what was moved at once: from which digest to which, and the last
-- `taken_at` of it. See sqlite/receipt_keys.rs.
CREATE TABLE receipt_key (
  digest     BLOB    NOT NULL PRIMARY KEY,
  receipt_id BLOB    NOT NULL,
  taken_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE receipt_key_log (
  number    INTEGER PRIMARY KEY,
  newest_at INTEGER NOT NULL,
  names     BLOB    NOT NULL
) STRICT;
CREATE TABLE receipt_key_round (
  only        INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
  after       BLOB,
  began_at    INTEGER NOT NULL,
  moved_up_to INTEGER NOT NULL
) STRICT;
CREATE TABLE receipt_key_slice (
  number       INTEGER PRIMARY KEY,
  newest_at    INTEGER NOT NULL,
  first_digest BLOB    NOT NULL,
  last_digest  BLOB    NOT NULL
) STRICT;
