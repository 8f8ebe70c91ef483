-- What operators decide about parked money: who, when, why, about which amount.

-- A parked entry's revision rises when it is parked anew or its amount changes: a decision names the one that it saw.
ALTER TABLE payment ADD COLUMN park_revision int4 NOT NULL DEFAULT 0;
-- The provider's books say so, not a notification alone.
ALTER TABLE payment ADD COLUMN park_confirmed boolean NOT NULL DEFAULT false;
-- The received money that a decision covers. It never pays the order any more; other money is parked again.
ALTER TABLE payment ADD COLUMN decided_minor int8;
ALTER TABLE payment ADD COLUMN decided_currency text;
UPDATE payment SET park_revision = 1, park_confirmed = next_query_at IS NULL WHERE parked;
CREATE INDEX payment_parked_since ON payment (parked_at, payment_id) WHERE parked;

-- A refund's states: PROCESSING, SUCCEEDED, PARKED, and SETTLED: the money went back by other means than the provider.
ALTER TABLE refund ADD COLUMN park_revision int4 NOT NULL DEFAULT 0;
UPDATE refund SET park_revision = 1 WHERE state = 'PARKED';
CREATE INDEX refund_parked_since ON refund (parked_at, refund_id) WHERE state = 'PARKED';
CREATE INDEX refund_of_payment ON refund (payment_id);

CREATE TABLE money_decision (
  bucket       int2 NOT NULL,                 -- of the order
  decision_id  int8 NOT NULL,
  kind         int2 NOT NULL,                 -- DecisionKind
  of_refund    boolean NOT NULL,              -- what was parked: the refund, or the payment
  payment_id   int8 NOT NULL,
  refund_id    int8 NOT NULL,                 -- decided on, or made by the decision; 0: none was needed
  order_no     int8 NOT NULL,
  organiser_id int8 NOT NULL,
  currency     text NOT NULL,
  amount_minor int8 NOT NULL,
  cause        text NOT NULL,                 -- why it was parked
  parked_at    timestamptz NOT NULL,
  reason       text NOT NULL,
  reference    text NOT NULL,                 -- of SETTLED_ELSEWHERE; else empty
  user_id      int8 NOT NULL,                 -- who decided
  request_id   text NOT NULL,                 -- the operator's key: a repetition finds its decision
  decided_at   timestamptz NOT NULL,
  PRIMARY KEY (bucket, decision_id),
  UNIQUE (bucket, user_id, request_id)
);
CREATE INDEX money_decision_newest ON money_decision (decision_id);
CREATE INDEX money_decision_of_organiser ON money_decision (organiser_id, decision_id);
