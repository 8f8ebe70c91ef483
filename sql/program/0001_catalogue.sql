-- What is on offer: organisers, venues, seat plans, programmes, shows, and what was published of them.
-- A ref is the organiser's own name for an object; digest is that of the object as its file gave it, so that the same
-- file again is known to change nothing. Texts are JSON objects from language tag to text.

CREATE TABLE organiser (
  organiser_id int8 PRIMARY KEY,
  ref          text NOT NULL,
  name         jsonb NOT NULL,
  digest       bytea NOT NULL,
  changed_at   timestamptz NOT NULL,
  CONSTRAINT organiser_ref UNIQUE (ref)
);

CREATE TABLE venue (
  venue_id     int8 PRIMARY KEY,
  organiser_id int8 NOT NULL REFERENCES organiser,
  ref          text NOT NULL,
  name         jsonb NOT NULL,
  city         jsonb NOT NULL,
  cities       text[] NOT NULL,               -- the city's name in every language, for filters
  address      jsonb NOT NULL,
  time_zone    text NOT NULL,                 -- IANA
  digest       bytea NOT NULL,
  changed_at   timestamptz NOT NULL,
  CONSTRAINT venue_ref UNIQUE (organiser_id, ref)
);

CREATE TABLE plan (
  plan_id      int8 PRIMARY KEY,
  organiser_id int8 NOT NULL REFERENCES organiser,
  ref          text NOT NULL,
  venue_id     int8 NOT NULL REFERENCES venue,
  document     text NOT NULL,                 -- the plan as its file gave it, in canonical form
  n_places     int4 NOT NULL,
  digest       bytea NOT NULL,
  changed_at   timestamptz NOT NULL,
  CONSTRAINT plan_ref UNIQUE (organiser_id, ref)
);
CREATE INDEX plan_of_venue ON plan (venue_id);

CREATE TABLE program (
  program_id   int8 PRIMARY KEY,
  organiser_id int8 NOT NULL REFERENCES organiser,
  ref          text NOT NULL,
  title        jsonb NOT NULL,
  performers   jsonb NOT NULL,
  category     jsonb NOT NULL,
  categories   text[] NOT NULL,               -- the category in every language, for filters
  picture      text NOT NULL,
  group_ref    text,                          -- the tour
  texts        jsonb NOT NULL,                -- from the name of a rule to its texts
  digest       bytea NOT NULL,
  changed_at   timestamptz NOT NULL,
  CONSTRAINT program_ref UNIQUE (organiser_id, ref)
);
CREATE INDEX program_group ON program (organiser_id, group_ref) WHERE group_ref IS NOT NULL;

CREATE TABLE show (
  show_id      int8 PRIMARY KEY,
  organiser_id int8 NOT NULL REFERENCES organiser,
  ref          text NOT NULL,
  program_id   int8 NOT NULL REFERENCES program,
  plan_id      int8 NOT NULL REFERENCES plan,
  name         jsonb NOT NULL,
  start_at     timestamptz NOT NULL,
  end_at       timestamptz NOT NULL,
  opens_at     timestamptz NOT NULL,
  closes_at    timestamptz NOT NULL,
  local_date   date NOT NULL,                 -- of the start, at the venue
  unlisted     boolean NOT NULL,
  document     text NOT NULL,                 -- the show as its file gave it, in canonical form
  digest       bytea NOT NULL,
  -- Set by publication.
  version      int4 NOT NULL DEFAULT 0,       -- 0: never published
  map_digest   bytea,                         -- of the place map, which never changes once published
  offered      jsonb,                         -- what lists and pages show of the published version: tiers, limits, rules
  currency     text,
  cheapest_minor int8,
  published_at timestamptz,
  -- Last heard from order.
  offer_places int2 NOT NULL DEFAULT 0,       -- OfferState by places alone
  offer_sale_state int2 NOT NULL DEFAULT 0,   -- SaleState
  offer_sequence int8 NOT NULL DEFAULT 0,
  changed_at   timestamptz NOT NULL,
  CONSTRAINT show_ref UNIQUE (organiser_id, ref)
);
CREATE INDEX show_of_program ON show (program_id, start_at);
CREATE INDEX show_of_plan ON show (plan_id);
CREATE INDEX show_listed ON show (end_at) WHERE version > 0 AND NOT unlisted;

-- What was published, by version; never changed.
CREATE TABLE publication (
  show_id      int8 NOT NULL REFERENCES show,
  version      int4 NOT NULL,
  digest       bytea NOT NULL,                -- SHA-256 of snapshot
  snapshot     bytea NOT NULL,                -- packed SaleSnapshot
  seat_plan    bytea NOT NULL,                -- gzip of the public seat plan
  etag         text NOT NULL,
  published_at timestamptz NOT NULL,
  PRIMARY KEY (show_id, version)
);
-- Pages are cut out of the snapshot: kept uncompressed so that a cut does not read the whole. The plan is compressed.
ALTER TABLE publication ALTER COLUMN snapshot SET STORAGE EXTERNAL, ALTER COLUMN seat_plan SET STORAGE EXTERNAL;
