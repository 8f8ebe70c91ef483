-- Accounts, sessions and attendees. Personal data is sealed with a versioned key and found by keyed hash.

CREATE TABLE account (
  user_id       int8 PRIMARY KEY,
  mobile_hash   bytea UNIQUE,
  mobile_sealed bytea,
  email_hash    bytea UNIQUE,
  email_sealed  bytea,
  name          text NOT NULL,
  language      text NOT NULL,
  city          text NOT NULL,
  password      text NOT NULL,               -- argon2id, encoded
  roles         int4 NOT NULL DEFAULT 0,     -- bits of enum tf_role
  organiser_id  int8 NOT NULL DEFAULT 0,
  created_at    timestamptz NOT NULL,
  failed_logins int4 NOT NULL DEFAULT 0,     -- since the last success
  locked_until  timestamptz,
  CHECK (mobile_hash IS NOT NULL OR email_hash IS NOT NULL)
);
CREATE INDEX account_operators ON account (user_id) WHERE roles <> 0;

CREATE TABLE session (
  session_id    int8 PRIMARY KEY,
  user_id       int8 NOT NULL REFERENCES account,
  device        text NOT NULL,
  refresh_hash  bytea NOT NULL,              -- SHA-256 of the refresh token in force
  previous_hash bytea,                       -- of the one before: its second use ends the session
  created_at    timestamptz NOT NULL,
  last_used_at  timestamptz NOT NULL,
  expires_at    timestamptz NOT NULL,
  ended_at      timestamptz
);
CREATE INDEX session_of_user ON session (user_id, session_id DESC) WHERE ended_at IS NULL;

CREATE TABLE attendee (
  attendee_id   int8 PRIMARY KEY,
  user_id       int8 NOT NULL REFERENCES account,
  name_sealed   bytea NOT NULL,
  id_type       int2 NOT NULL,
  id_sealed     bytea NOT NULL,
  id_masked     text NOT NULL,
  person        text NOT NULL,               -- keyed hash of id type and number, hex
  verified      boolean NOT NULL,
  created_at    timestamptz NOT NULL,
  UNIQUE (user_id, person)
);
