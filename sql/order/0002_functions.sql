-- What the purchase protocol does inside the database: the group commit and settling (docs/purchase-protocol.md).
-- VOLATILE plpgsql under READ COMMITTED: every statement has a fresh snapshot, which both functions rely on.

-- Commits a batch. Arrays are parallel; orders come sorted by (bucket, order_no), tickets by (bucket, show, place) with t_order the 1-based index
-- of their order. An order's event with id 0 is none. Idempotent by order number: a batch may be sent again unchanged.
-- Per order: a result (enum commit_result in services/order/commit/commit.h), the number of the stored row (OK, DUPLICATE), and the end of its hold in
-- ms while it waits for payment (else 0). clock: this database's time, from which callers learn sale time.
CREATE FUNCTION commit_orders(
  o_bucket int2[], o_no int8[], o_kind int2[], o_show int8[], o_organiser int8[], o_user int8[], o_request text[], o_body text[],
  o_epoch int8[], o_terms int4[], o_currency text[], o_total int8[], o_tickets int2[], o_adjacent boolean[],
  o_hold_s int4[], o_margin_s int4[], o_trace text[], o_event_id int8[], o_event bytea[],
  t_order int4[], t_place int4[], t_id int8[], t_tier int2[], t_price int8[], t_attendee int8[], t_name text[], t_masked text[], t_person text[],
  OUT results int2[], OUT order_nos int8[], OUT release_ms int8[], OUT clock timestamptz)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
  n int := cardinality(o_no);
  at timestamptz;
  f_bucket int2[]; f_show int8[]; f_epoch int8[]; f_terms int4[]; f_state int2[];
  got int8[]; whole boolean; written int; expected int; bad int4[];
  stored record; fence record;
BEGIN
  -- The fence: shared, so that batches never wait for each other here, and whoever raises the epoch or changes terms waits for them.
  SELECT array_agg(f.bucket), array_agg(f.show_id), array_agg(f.epoch), array_agg(f.terms), array_agg(f.sale_state)
    INTO f_bucket, f_show, f_epoch, f_terms, f_state
    FROM (SELECT i.bucket, i.show_id, i.epoch, i.terms, i.sale_state FROM inventory i
           WHERE (i.bucket, i.show_id) IN (SELECT u.b, u.s FROM unnest(o_bucket, o_show) AS u(b, s))
           ORDER BY i.bucket, i.show_id FOR SHARE OF i) f;
  at := clock_timestamp();

  -- Only decisions of the current generation on the current terms; waits for a twin in flight.
  WITH inserted AS (
    INSERT INTO orders (bucket, order_no, kind, show_id, organiser_id, user_id, request_id, body_hash, state, epoch, terms, currency,
                        total_minor, n_tickets, adjacent, created_at, pay_by_at, release_at, trace)
    SELECT u.bucket, u.no, u.kind, u.show, u.organiser, u.usr, u.request, u.body, CASE u.kind WHEN 1 THEN 1 ELSE 2 END, u.epoch, u.terms,
           u.currency, u.total, u.tickets, u.adjacent, at,
           CASE u.kind WHEN 1 THEN at + make_interval(secs => u.hold_s - u.margin_s) END,
           CASE u.kind WHEN 1 THEN at + make_interval(secs => u.hold_s) END, u.trace
      FROM unnest(o_bucket, o_no, o_kind, o_show, o_organiser, o_user, o_request, o_body, o_epoch, o_terms, o_currency, o_total, o_tickets,
                  o_adjacent, o_hold_s, o_margin_s, o_trace)
             AS u(bucket, no, kind, show, organiser, usr, request, body, epoch, terms, currency, total, tickets, adjacent, hold_s, margin_s, trace)
      JOIN unnest(f_bucket, f_show, f_epoch, f_terms, f_state) AS f(bucket, show, epoch, terms, state)
        ON f.bucket = u.bucket AND f.show = u.show
     WHERE u.epoch = f.epoch AND (u.kind = 2 OR (u.terms = f.terms AND f.state = 1))
     ORDER BY u.bucket, u.no
    ON CONFLICT DO NOTHING RETURNING order_no)
  SELECT coalesce(array_agg(i.order_no), '{}') INTO got FROM inserted i;
  whole := cardinality(got) = n;

  INSERT INTO tickets (bucket, order_no, place_no, ticket_id, show_id, tier, price_minor, attendee_id, attendee_name, attendee_id_masked, person)
  SELECT o_bucket[t.q], o_no[t.q], t.place, t.id, o_show[t.q], t.tier, t.price, nullif(t.attendee, 0), t.name, t.masked, t.person
    FROM unnest(t_order, t_place, t_id, t_tier, t_price, t_attendee, t_name, t_masked, t_person)
           AS t(q, place, id, tier, price, attendee, name, masked, person)
   WHERE whole OR o_no[t.q] = ANY (got)
   ORDER BY o_bucket[t.q], o_show[t.q], t.place
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS written = ROW_COUNT;

  results := array_fill(NULL::int2, ARRAY[n]);
  order_nos := o_no;
  release_ms := array_fill(0::int8, ARRAY[n]);
  SELECT coalesce(sum(u.tickets), 0) INTO expected FROM unnest(o_no, o_tickets) AS u(no, tickets) WHERE whole OR u.no = ANY (got);
  IF written <> expected THEN
    -- A unique key fired: the orders that did not get all their tickets are undone. A place in another live ticket must never happen: CONFLICT.
    SELECT coalesce(array_agg(u.q), '{}') INTO bad
      FROM unnest(o_bucket, o_no, o_tickets) WITH ORDINALITY AS u(bucket, no, tickets, q)
     WHERE u.no = ANY (got) AND u.tickets <> (SELECT count(*) FROM tickets k WHERE k.bucket = u.bucket AND k.order_no = u.no);
    FOR i IN 1 .. cardinality(bad) LOOP
      results[bad[i]] := CASE
        WHEN EXISTS (SELECT FROM unnest(t_order, t_place) AS t(q, place) JOIN tickets k
                       ON k.bucket = o_bucket[bad[i]] AND k.show_id = o_show[bad[i]] AND k.place_no = t.place AND k.live
                      WHERE t.q = bad[i] AND k.order_no <> o_no[bad[i]]) THEN 8
        WHEN EXISTS (SELECT FROM unnest(t_order, t_place, t_person) AS t(q, place, person) JOIN tickets k
                       ON k.bucket = o_bucket[bad[i]] AND k.show_id = o_show[bad[i]] AND k.person = t.person AND k.live
                      WHERE t.q = bad[i] AND (k.order_no <> o_no[bad[i]] OR k.place_no <> t.place)) THEN 7
        ELSE 8 END;
    END LOOP;
    FOR i IN 1 .. cardinality(bad) LOOP
      DELETE FROM tickets WHERE bucket = o_bucket[bad[i]] AND order_no = o_no[bad[i]];
      DELETE FROM orders WHERE bucket = o_bucket[bad[i]] AND order_no = o_no[bad[i]];
      got := array_remove(got, o_no[bad[i]]);
    END LOOP;
    whole := false;
  END IF;

  INSERT INTO outbox (bucket, event_id, topic, aggregate_id, envelope)
  SELECT u.bucket, u.event_id, 'order', u.no, u.event
    FROM unnest(o_bucket, o_no, o_event_id, o_event) AS u(bucket, no, event_id, event)
   WHERE u.event_id <> 0 AND (whole OR u.no = ANY (got));

  -- The answers. A stored row comes before the fence: a batch sent again may find the epoch raised and itself committed, and none of its kind can
  -- be in flight by then.
  FOR i IN 1 .. n LOOP
    IF whole OR o_no[i] = ANY (got) THEN
      results[i] := 0;
      IF o_kind[i] = 1 THEN release_ms[i] := ceil(extract(epoch FROM at + make_interval(secs => o_hold_s[i])) * 1000); END IF;
      CONTINUE;
    END IF;
    CONTINUE WHEN results[i] IS NOT NULL;

    SELECT o.order_no, o.show_id, o.user_id, o.request_id, o.body_hash, o.state, o.release_at INTO stored
      FROM orders o WHERE o.bucket = o_bucket[i] AND o.order_no = o_no[i];
    IF NOT FOUND THEN
      SELECT o.order_no, o.show_id, o.user_id, o.request_id, o.body_hash, o.state, o.release_at INTO stored FROM orders o
       WHERE o.bucket = o_bucket[i] AND o.show_id = o_show[i] AND o.user_id = o_user[i] AND o.request_id = o_request[i];
    END IF;
    IF FOUND THEN
      IF stored.state = 9 THEN
        results[i] := 3;
      ELSIF (stored.show_id, stored.user_id, stored.request_id) IS DISTINCT FROM (o_show[i], o_user[i], o_request[i]) THEN
        results[i] := 8;
      ELSIF stored.body_hash IS DISTINCT FROM o_body[i] THEN
        results[i] := 2;
      ELSE
        results[i] := 1;
        order_nos[i] := stored.order_no;
        IF stored.state = 1 THEN release_ms[i] := ceil(extract(epoch FROM stored.release_at) * 1000); END IF;
      END IF;
      CONTINUE;
    END IF;

    SELECT f.epoch, f.terms, f.state INTO fence FROM unnest(f_bucket, f_show, f_epoch, f_terms, f_state) AS f(bucket, show, epoch, terms, state)
     WHERE f.bucket = o_bucket[i] AND f.show = o_show[i];
    results[i] := CASE
      WHEN fence.epoch IS DISTINCT FROM o_epoch[i] THEN 4
      WHEN o_kind[i] = 1 AND fence.terms <> o_terms[i] THEN 5
      WHEN o_kind[i] = 1 AND fence.state <> 1 THEN 6
      ELSE 4 END;  -- lost its key to an order of this batch that was undone: try again like an old decision
  END LOOP;
  clock := clock_timestamp();
END $$;

-- What PostgreSQL says of orders, in one snapshot. Rows in the order asked; state NULL: there is no such order.
CREATE FUNCTION settle_read(s_bucket int2[], s_no int8[], s_show int8[])
RETURNS TABLE (epoch int8, state int2, kind int2, user_id int8, organiser_id int8, currency text, total_minor int8,
               pay_by_at timestamptz, release_at timestamptz, over boolean, live int4[], clock timestamptz)
LANGUAGE sql STABLE AS $$
  SELECT i.epoch, o.state, o.kind, o.user_id, o.organiser_id, o.currency, o.total_minor, o.pay_by_at, o.release_at,
         coalesce(o.state = 1 AND o.release_at <= clock_timestamp(), false),
         (SELECT array_agg(t.place_no ORDER BY t.place_no) FROM tickets t WHERE t.bucket = u.bucket AND t.order_no = u.no AND t.live),
         clock_timestamp()
    FROM unnest(s_bucket, s_no, s_show) WITH ORDINALITY AS u(bucket, no, show, at)
    LEFT JOIN orders o ON o.bucket = u.bucket AND o.order_no = u.no
    LEFT JOIN inventory i ON i.bucket = u.bucket AND i.show_id = u.show
   ORDER BY u.at
$$;

-- Settles orders, sorted by (bucket, order_no): what does not exist never will (tombstone; waits for a commit in flight); what is over is
-- cancelled, with its event (id 0: leave it). Then what settle_read says, in a snapshot taken after all that.
CREATE FUNCTION settle_orders(s_bucket int2[], s_no int8[], s_show int8[], s_event_id int8[], s_event bytea[])
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
  END IF;

  RETURN QUERY SELECT r.* FROM settle_read(s_bucket, s_no, s_show) r;
END $$;
