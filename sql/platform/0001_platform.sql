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
-- the engine lost its data.
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
CREATE INDEX outbox_unsent ON outbox (bucket, event_id) WHERE sent_at IS NULL;
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;

-- The engine's generation that this database's relay last sent to.
CREATE TABLE relay_engine (
  engine      text PRIMARY KEY,
  generation  text NOT NULL,
  run_id      text NOT NULL
);

-- Events that this service has handled.
CREATE TABLE inbox (
  event_id    int8 PRIMARY KEY,
  handled_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX inbox_age ON inbox (handled_at);

-- Events that could not be handled, with the cause; open until replayed or discarded with a reason.
CREATE TABLE dead_letter (
  event_id    int8 PRIMARY KEY,
  topic       text NOT NULL,
  type        text NOT NULL,
  envelope    bytea NOT NULL,
  cause       text NOT NULL,
  attempts    int4 NOT NULL,
  parked_at   timestamptz NOT NULL DEFAULT now(),
  resolved_at timestamptz,
  resolution  text
);
CREATE INDEX dead_letter_open ON dead_letter (parked_at) WHERE resolved_at IS NULL;
