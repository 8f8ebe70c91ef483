-- Tables that every service's database has: worker numbers, the event bus's outbox, inbox and dead letters.

-- Claims of worker numbers for ids (common/chassis/worker_claim.c). A number is free again after a clean release or
-- 24 h of silence; high_tick is the mark above which the next claim starts.
CREATE TABLE worker_claim (
  worker      int2 PRIMARY KEY CHECK (worker BETWEEN 0 AND 255),
  generation  int8 NOT NULL,
  holder      text NOT NULL,
  high_tick   int8 NOT NULL,
  released    boolean NOT NULL,
  heard_at    timestamptz NOT NULL
);

-- Events not yet known to be with the engine have sent_at NULL; sent ones are kept for a while, to be sent again when
-- the engine lost its data. Rows leave in the order of event_id, which rises with time.
CREATE TABLE outbox (
  bucket      int2 NOT NULL,
  event_id    int8 NOT NULL,
  topic       text NOT NULL,
  aggregate_id int8 NOT NULL,
  envelope    bytea NOT NULL CHECK (length(envelope) <= 262144),
  created_at  timestamptz NOT NULL DEFAULT now(),
  sent_at     timestamptz,
  PRIMARY KEY (bucket, event_id)
);
CREATE INDEX outbox_unsent ON outbox (event_id) WHERE sent_at IS NULL;
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;

-- The engine's generation that this database's relay last sent to.
CREATE TABLE relay_engine (
  engine      text PRIMARY KEY,
  generation  text NOT NULL,
  run_id      text NOT NULL
);

-- Events that this service has handled or parked. Event ids are unique within a topic only: each topic has one
-- publishing service, and services number their workers apart.
CREATE TABLE inbox (
  topic       text NOT NULL,
  event_id    int8 NOT NULL,
  handled_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (topic, event_id)
);
CREATE INDEX inbox_age ON inbox (handled_at);

-- Failures of events that are still being tried again; the row goes when the event is handled or parked.
CREATE TABLE event_attempt (
  topic       text NOT NULL,
  event_id    int8 NOT NULL,
  attempts    int4 NOT NULL,
  failed_at   timestamptz NOT NULL,
  PRIMARY KEY (topic, event_id)
);

-- Events that could not be handled, with the cause; open until replayed or discarded with a reason. An envelope that
-- could not be read has a negative event_id made from its place in the engine. replay_at: an operator asked for a
-- replay, the running service does it (common/chassis/dead_letter.c).
CREATE TABLE dead_letter (
  topic       text NOT NULL,
  event_id    int8 NOT NULL,
  type        text NOT NULL,
  envelope    bytea NOT NULL,
  cause       text NOT NULL,
  attempts    int4 NOT NULL,
  parked_at   timestamptz NOT NULL DEFAULT now(),
  replay_at   timestamptz,
  resolved_at timestamptz,
  resolution  text,
  PRIMARY KEY (topic, event_id)
);
CREATE INDEX dead_letter_open ON dead_letter (parked_at) WHERE resolved_at IS NULL;
