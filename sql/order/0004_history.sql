-- What happened to orders, for people: each change with who made it (process, request), kept longer than the events that told of it.

-- Partitioned by event_id, whose time bounds where an order's rows can be (docs/adr/0008-partitions-by-id.md).
CREATE TABLE order_history (
  bucket       int2 NOT NULL,
  order_no     int8 NOT NULL,
  event_id     int8 NOT NULL,                 -- of the event that told it, or an id of its own
  at           timestamptz NOT NULL,
  kind         text NOT NULL,                 -- 'order.paid'; all in services/order/domain/timeline_kinds.def
  process      text NOT NULL,                 -- '': not known
  request_id   text NOT NULL,
  told         boolean NOT NULL DEFAULT false, -- an event of that id went into the outbox
  facts        jsonb NOT NULL,                -- names and texts
  PRIMARY KEY (bucket, order_no, event_id)
) PARTITION BY RANGE (event_id);
CREATE TABLE order_history_default PARTITION OF order_history DEFAULT;
CREATE INDEX order_history_default_age ON order_history_default (at);

-- orders.trace, from now on: request id, process, time of the request and of the hold (microseconds since 1970), id of order.created; separated by
-- blanks, because five columns would cost each commit more (services/order/domain/trace.h writes it). Before: the request id alone.

-- What is known of the time before. Ids of orders and tickets stand in for those of events.
INSERT INTO order_history (bucket, order_no, event_id, at, kind, process, request_id, facts)
SELECT bucket, order_no, order_no, paid_at, 'order.paid', '', '',
       jsonb_build_object('payment_id', payment_id::text, 'amount_minor', total_minor::text, 'currency', currency)
  FROM orders WHERE kind = 1 AND paid_at IS NOT NULL;
INSERT INTO order_history (bucket, order_no, event_id, at, kind, process, request_id, facts)
SELECT bucket, order_no, order_no, cancelled_at, 'order.cancelled', '', '',
       jsonb_build_object('reason', (ARRAY['USER', 'EXPIRED', 'OPERATOR', 'CONFLICT'])[cancel_reason])
  FROM orders WHERE kind = 1 AND cancelled_at IS NOT NULL;
INSERT INTO order_history (bucket, order_no, event_id, at, kind, process, request_id, facts)
SELECT bucket, order_no, refund_id, requested_at, 'refund.requested', '', '',
       jsonb_strip_nulls(jsonb_build_object('refund_id', refund_id::text, 'payment_id', payment_id::text, 'amount_minor', amount_minor::text,
                                            'currency', currency, 'reason', reason, 'note', note))
  FROM refund_due;
INSERT INTO order_history (bucket, order_no, event_id, at, kind, process, request_id, facts)
SELECT bucket, order_no, ticket_id, used_at, 'ticket.admitted', '', '',
       jsonb_strip_nulls(jsonb_build_object('ticket_id', ticket_id::text, 'place_no', place_no::text, 'door', used_door))
  FROM tickets WHERE used_at IS NOT NULL;

-- Who had a place before: dead tickets cost an index entry only when they die. tickets_live finds the living one.
CREATE INDEX tickets_dead ON tickets (bucket, show_id, place_no) WHERE NOT live;

-- As settle_orders of 0002, and the history of what it cancels, by whom.
CREATE FUNCTION settle_orders(s_bucket int2[], s_no int8[], s_show int8[], s_event_id int8[], s_event bytea[], s_process text, s_request text)
RETURNS TABLE (epoch int8, state int2, kind int2, user_id int8, organiser_id int8, currency text, total_minor int8,
               pay_by_at timestamptz, release_at timestamptz, over boolean, live int4[], clock timestamptz)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
  at timestamptz := clock_timestamp();
  gone int8[];
BEGIN
  INSERT INTO orders (bucket, order_no, show_id, state, created_at)
  SELECT u.bucket, u.no, u.show, 9, at FROM unnest(s_bucket, s_no, s_show) AS u(bucket, no, show) ORDER BY u.bucket, u.no
  ON CONFLICT DO NOTHING;

  -- Locked in order first, so that two settlers never wait for each other in a ring.
  PERFORM FROM orders o JOIN unnest(s_bucket, s_no, s_event_id) AS u(bucket, no, event_id) ON o.bucket = u.bucket AND o.order_no = u.no
    WHERE u.event_id <> 0 AND o.state = 1 AND o.release_at <= at ORDER BY o.bucket, o.order_no FOR UPDATE OF o;
  WITH cancelled AS (
    UPDATE orders o SET state = 5, cancel_reason = 2, cancelled_at = at FROM unnest(s_bucket, s_no, s_event_id) AS u(bucket, no, event_id)
     WHERE o.bucket = u.bucket AND o.order_no = u.no AND u.event_id <> 0 AND o.state = 1 AND o.release_at <= at
    RETURNING o.order_no)
  SELECT coalesce(array_agg(c.order_no), '{}') INTO gone FROM cancelled c;
  IF cardinality(gone) > 0 THEN
    UPDATE tickets t SET live = false FROM unnest(s_bucket, s_no) AS u(bucket, no)
     WHERE t.bucket = u.bucket AND t.order_no = u.no AND t.live AND u.no = ANY (gone);
    INSERT INTO outbox (bucket, event_id, topic, aggregate_id, envelope)
    SELECT u.bucket, u.event_id, 'order', u.no, u.event FROM unnest(s_bucket, s_no, s_event_id, s_event) AS u(bucket, no, event_id, event)
     WHERE u.no = ANY (gone);
    INSERT INTO order_history (bucket, order_no, event_id, at, kind, process, request_id, told, facts)
    SELECT u.bucket, u.no, u.event_id, at, 'order.cancelled', s_process, s_request, true, jsonb_build_object('reason', 'EXPIRED')
      FROM unnest(s_bucket, s_no, s_event_id) AS u(bucket, no, event_id) WHERE u.no = ANY (gone);
  END IF;

  RETURN QUERY SELECT r.* FROM settle_read(s_bucket, s_no, s_show) r;
END $$;

-- For instances that are still of the version before.
CREATE OR REPLACE FUNCTION settle_orders(s_bucket int2[], s_no int8[], s_show int8[], s_event_id int8[], s_event bytea[])
RETURNS TABLE (epoch int8, state int2, kind int2, user_id int8, organiser_id int8, currency text, total_minor int8,
               pay_by_at timestamptz, release_at timestamptz, over boolean, live int4[], clock timestamptz)
LANGUAGE sql VOLATILE AS $$
  SELECT * FROM settle_orders(s_bucket, s_no, s_show, s_event_id, s_event, '', '')
$$;
