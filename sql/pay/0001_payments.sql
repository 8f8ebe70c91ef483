-- Attempts to pay, refunds, and what providers notified.

CREATE TABLE payment (
  bucket        int2 NOT NULL,                -- of the order
  payment_id    int8 NOT NULL,                -- also the provider's idempotency key
  order_no      int8 NOT NULL,
  user_id       int8 NOT NULL,
  organiser_id  int8 NOT NULL,
  request_id    text NOT NULL,
  method        text NOT NULL,
  currency      text NOT NULL,
  amount_minor  int8 NOT NULL CHECK (amount_minor > 0),
  state         int2 NOT NULL,                -- PaymentState
  subject       text NOT NULL,
  pay_url       text,
  provider_no   text,
  failure       text,                         -- why FAILED or parked, in plain words
  parked        boolean NOT NULL DEFAULT false, -- money that does not fit: an operator decides
  created_at    timestamptz NOT NULL,
  expires_at    timestamptz NOT NULL,
  success_at    timestamptz,
  next_query_at timestamptz,                  -- when the provider is asked again; NULL: settled
  queries       int4 NOT NULL DEFAULT 0,
  PRIMARY KEY (bucket, payment_id),
  UNIQUE (bucket, order_no, user_id, request_id)
) WITH (fillfactor = 85);
CREATE INDEX payment_of_order ON payment (bucket, order_no);
CREATE INDEX payment_due ON payment (next_query_at) WHERE next_query_at IS NOT NULL;
CREATE INDEX payment_parked ON payment (bucket, payment_id) WHERE parked;

CREATE TABLE refund (
  bucket       int2 NOT NULL,
  refund_id    int8 NOT NULL,                 -- made by order; the provider's idempotency key
  payment_id   int8 NOT NULL,
  order_no     int8 NOT NULL,
  organiser_id int8 NOT NULL,
  currency     text NOT NULL,
  amount_minor int8 NOT NULL CHECK (amount_minor > 0),
  reason       text NOT NULL,
  state        text NOT NULL DEFAULT 'PROCESSING', -- PROCESSING, SUCCEEDED, PARKED
  cause        text,                          -- of PARKED
  attempts     int4 NOT NULL DEFAULT 0,
  requested_at timestamptz NOT NULL,
  succeeded_at timestamptz,
  parked_at    timestamptz,
  next_try_at  timestamptz,                   -- NULL: settled or parked
  PRIMARY KEY (bucket, refund_id)
);
CREATE INDEX refund_due ON refund (next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX refund_of_order ON refund (bucket, order_no);

-- Verified notifications as they came, for the timeline. Forged ones are counted and logged, not stored.
CREATE TABLE notification (
  bucket       int2 NOT NULL,
  payment_id   int8 NOT NULL,
  digest       bytea NOT NULL,                -- SHA-256 of the body: a repetition is one row
  channel      text NOT NULL,
  body         bytea NOT NULL,
  outcome      text NOT NULL,                 -- APPLIED, REPEATED, MISMATCH
  copies       int4 NOT NULL DEFAULT 1,
  received_at  timestamptz NOT NULL,
  PRIMARY KEY (bucket, payment_id, digest)
);
