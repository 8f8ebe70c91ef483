-- Wrong passwords are counted by the name that was tried, whether or not there is such an account (no answer may tell),
-- and by the client's address; what is over is found by its time.

CREATE TABLE login_guard (
  guard_key    bytea PRIMARY KEY,            -- keyed hash of a name or of an address
  failures     int4 NOT NULL,
  locked_until timestamptz,
  forget_at    timestamptz NOT NULL
);
CREATE INDEX login_guard_over ON login_guard (forget_at);

ALTER TABLE account DROP COLUMN failed_logins, DROP COLUMN locked_until;

CREATE INDEX session_over ON session (least(ended_at, expires_at));
