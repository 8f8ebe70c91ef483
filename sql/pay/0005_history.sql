-- What happened to the money of orders, for people: each change with who made it, kept longer than the events that told of it. The table is the
-- one that order has (sql/order/0004_history.sql).

CREATE TABLE order_history (
  bucket       int2 NOT NULL,
  order_no     int8 NOT NULL,
  event_id     int8 NOT NULL,                 -- of the event that told it, or an id of its own
  at           timestamptz NOT NULL,
  kind         text NOT NULL,                 -- 'payment.created'; all in services/order/domain/timeline_kinds.def
  process      text NOT NULL,                 -- '': not known
  request_id   text NOT NULL,
  told         boolean NOT NULL DEFAULT false, -- an event of that id went into the outbox
  facts        jsonb NOT NULL,                -- names and texts
  PRIMARY KEY (bucket, order_no, event_id)
) PARTITION BY RANGE (event_id);
CREATE TABLE order_history_default PARTITION OF order_history DEFAULT;
CREATE INDEX order_history_default_age ON order_history_default (at);

-- Who took a notification in. Of older ones nobody knows.
ALTER TABLE notification ADD COLUMN process text NOT NULL DEFAULT '';
ALTER TABLE notification ADD COLUMN trace text NOT NULL DEFAULT '';  -- request id of the call

-- What is known of the time before. Ids of payments, refunds and decisions stand in for those of events; a success has its payment's next id.
INSERT INTO order_history (bucket, order_no, event_id, at, kind, process, request_id, facts)
SELECT bucket, order_no, payment_id, created_at, 'payment.created', '', '',
       jsonb_build_object('payment_id', payment_id::text, 'method', method, 'amount_minor', amount_minor::text, 'currency', currency)
  FROM payment;
INSERT INTO order_history (bucket, order_no, event_id, at, kind, process, request_id, facts)
SELECT bucket, order_no, payment_id + 1024, success_at, 'payment.succeeded', '', '',
       jsonb_build_object('payment_id', payment_id::text, 'method', method, 'amount_minor', amount_minor::text, 'currency', currency)
  FROM payment WHERE success_at IS NOT NULL ON CONFLICT DO NOTHING;
INSERT INTO order_history (bucket, order_no, event_id, at, kind, process, request_id, facts)
SELECT bucket, order_no, refund_id, requested_at, 'refund.accepted', '', '',
       jsonb_build_object('refund_id', refund_id::text, 'payment_id', payment_id::text, 'amount_minor', amount_minor::text, 'currency', currency,
                          'reason', reason)
  FROM refund ON CONFLICT DO NOTHING;
INSERT INTO order_history (bucket, order_no, event_id, at, kind, process, request_id, facts)
SELECT bucket, order_no, refund_id + 1024, succeeded_at, 'refund.succeeded', '', '',
       jsonb_build_object('refund_id', refund_id::text, 'payment_id', payment_id::text, 'amount_minor', amount_minor::text, 'currency', currency)
  FROM refund WHERE succeeded_at IS NOT NULL ON CONFLICT DO NOTHING;
INSERT INTO order_history (bucket, order_no, event_id, at, kind, process, request_id, facts)
SELECT bucket, order_no, decision_id, decided_at, 'money.decided', '', '',
       jsonb_build_object('decision_id', decision_id::text, 'payment_id', payment_id::text, 'refund_id', refund_id::text,
                          'decision', (ARRAY['REFUND', 'RETRY', 'SETTLED_ELSEWHERE'])[kind], 'amount_minor', amount_minor::text,
                          'currency', currency, 'cause', cause, 'reason', reason, 'reference', reference, 'by_user_id', user_id::text)
  FROM money_decision ON CONFLICT DO NOTHING;

-- A payment is found by the provider's number.
CREATE INDEX payment_provider_no ON payment (provider_no) WHERE provider_no IS NOT NULL;
