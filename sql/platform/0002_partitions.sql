-- Tables that lose their rows by age are partitioned by id, and whole partitions are dropped (docs/adr/0008-partitions-by-id.md).
--
-- An id carries its time in its high bits (common/base/id.h), so a span of time is a range of ids, and the primary key stays as it is. Partitions
-- are made ahead; what has none (ids of a clock gone wrong, negative ones) goes to the DEFAULT partition, whose rows are deleted one by one.
-- common/chassis/partitions.c calls these functions; each changes at most one partition and waits for no lock longer than 100 ms, so that a
-- purchase never waits long behind them. All times are this database's.

-- The first id of the tick in which a time lies, within what an id can say. common/base/id.h declares the layout.
CREATE FUNCTION partition_id_at(at timestamptz) RETURNS int8 LANGUAGE sql IMMUTABLE AS $$
  SELECT least(greatest(floor((extract(epoch FROM at) - 1735689600) * 1000 / 32), 0), (1::int8 << 35) - 1)::int8 << 28
$$;

-- The partitions of a table that have a range: ids from lo up to, not including, hi.
CREATE FUNCTION partition_ranges(parent regclass) RETURNS TABLE (part regclass, lo int8, hi int8) LANGUAGE sql STABLE AS $$
  SELECT c.oid::regclass, bound[1]::int8, bound[2]::int8
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
   CROSS JOIN regexp_match(pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM \(''(-?\d+)''\) TO \(''(-?\d+)''\)$') bound
   WHERE i.inhparent = parent AND bound IS NOT NULL
$$;

-- The DEFAULT partition, and the column by which the table is partitioned.
CREATE FUNCTION partition_net(parent regclass, OUT net regclass, OUT id_column name) LANGUAGE sql STABLE AS $$
  SELECT p.partdefid::regclass, a.attname FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
   WHERE p.partrelid = parent
$$;

-- False: another instance is at this table, let it.
CREATE FUNCTION partition_lock(parent regclass) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT pg_try_advisory_xact_lock(x'74667074'::int, parent::oid::int8::bit(32)::int)  -- "tfpt"
$$;

-- Makes the first partition that is missing between now and now + ahead. Spans begin at multiples of span_s, cut where a partition of another
-- span is. Rows that are in the DEFAULT partition already are moved; more than 50,000 are not: their span stays there. state: MADE, NONE (nothing
-- is missing), BUSY (try again soon).
CREATE FUNCTION partition_make(parent regclass, span_s int4, ahead_s int4, OUT state text, OUT part text)
LANGUAGE plpgsql VOLATILE SET lock_timeout = '100ms' AS $$
#variable_conflict use_variable
DECLARE
  move_max CONSTANT int := 50000;
  span int8 := (span_s::int8 * 1000 / 32) << 28;
  at int8 := partition_id_at(clock_timestamp());
  until int8 := partition_id_at(clock_timestamp() + make_interval(secs => ahead_s));
  net regclass; id_column name; home name; first int8; past int8; n int;
BEGIN
  state := 'BUSY';
  IF NOT partition_lock(parent) THEN RETURN; END IF;
  SELECT p.net, p.id_column INTO net, id_column FROM partition_net(parent) p;
  SELECT s.nspname INTO home FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace WHERE c.oid = parent;
  LOOP
    IF at >= until THEN
      state := 'NONE';
      RETURN;
    END IF;
    SELECT r.hi INTO past FROM partition_ranges(parent) r WHERE r.lo <= at AND at < r.hi;
    IF FOUND THEN
      at := past;
      CONTINUE;
    END IF;
    SELECT greatest(at / span * span, max(r.hi)) INTO first FROM partition_ranges(parent) r WHERE r.hi <= at;
    SELECT least(at / span * span + span, min(r.lo)) INTO past FROM partition_ranges(parent) r WHERE r.lo > at;
    EXECUTE format('SELECT count(*) FROM (SELECT FROM %s WHERE %I >= $1 AND %2$I < $2 LIMIT $3) crowd', net, id_column)
      INTO n USING first, past, move_max + 1;
    EXIT WHEN n <= move_max;
    at := past;
  END LOOP;

  part := (SELECT relname FROM pg_class WHERE oid = parent)
          || to_char(to_timestamp(1735689600 + (first >> 28) * 0.032) AT TIME ZONE 'UTC', '_YYYYMMDD_HH24MISS');
  -- The table is made apart and then attached: that lets others read and insert, but for the DEFAULT partition.
  EXECUTE format('CREATE TABLE %I.%I (LIKE %s INCLUDING ALL)', home, part, parent);
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', net);
  EXECUTE format('WITH moved AS (DELETE FROM %s WHERE %I >= $1 AND %2$I < $2 RETURNING *) INSERT INTO %I.%I SELECT * FROM moved',
                 net, id_column, home, part) USING first, past;
  EXECUTE format('ALTER TABLE %s ATTACH PARTITION %I.%I FOR VALUES FROM (%s) TO (%s)', parent, home, part, first, past);
  state := 'MADE';
EXCEPTION WHEN lock_not_available THEN
  state := 'BUSY';
END $$;

-- Drops the first partition whose ids and rows are all older than keep_s: since_column says when a row was done with; NULL keeps it, and its
-- partition. state: DROPPED, NONE, BUSY.
CREATE FUNCTION partition_drop(parent regclass, since_column name, keep_s int4, OUT state text, OUT part text)
LANGUAGE plpgsql VOLATILE SET lock_timeout = '100ms' AS $$
DECLARE
  since timestamptz := clock_timestamp() - make_interval(secs => keep_s);
  aged record; needed boolean;
BEGIN
  state := 'BUSY';
  IF NOT partition_lock(parent) THEN RETURN; END IF;
  FOR aged IN SELECT r.part FROM partition_ranges(parent) r WHERE r.hi <= partition_id_at(since) ORDER BY r.lo LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I IS NULL OR %2$I >= $1)', aged.part, since_column) INTO needed USING since;
    CONTINUE WHEN needed;
    -- Nobody writes from here on; what was written meanwhile is seen by the second look.
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', parent);
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I IS NULL OR %2$I >= $1)', aged.part, since_column) INTO needed USING since;
    IF NOT needed THEN
      part := (SELECT relname FROM pg_class WHERE oid = aged.part);
      EXECUTE format('DROP TABLE %s', aged.part);
      state := 'DROPPED';
      RETURN;
    END IF;
  END LOOP;
  state := 'NONE';
EXCEPTION WHEN lock_not_available THEN
  state := 'BUSY';
END $$;

-- Deletes up to rows_max rows older than keep_s from the DEFAULT partition; says how many. Several may do it at once.
CREATE FUNCTION partition_prune(parent regclass, since_column name, keep_s int4, rows_max int4) RETURNS int8 LANGUAGE plpgsql VOLATILE AS $$
DECLARE n int8;
BEGIN
  EXECUTE format('DELETE FROM %s WHERE ctid = ANY (ARRAY(SELECT ctid FROM %1$s WHERE %I < $1 ORDER BY %2$I LIMIT $2 FOR UPDATE SKIP LOCKED))',
                 (SELECT p.net FROM partition_net(parent) p), since_column)
    USING clock_timestamp() - make_interval(secs => keep_s), rows_max;
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n;
END $$;

-- For migrations: takes a table that was not partitioned, with its rows, into its partitioned successor, and makes the first partitions. The old
-- table becomes the partition that ends with the current day (UTC), without being copied; ids that a partition of that range cannot hold go
-- to the DEFAULT partition. An empty one is dropped.
CREATE FUNCTION partition_adopt(parent regclass, old regclass) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  day CONSTANT int8 := (86400::int8 * 1000 / 32) << 28;
  past int8 := partition_id_at(clock_timestamp()) / day * day + day;
  net regclass; id_column name; first int8; made text;
BEGIN
  SELECT p.net, p.id_column INTO net, id_column FROM partition_net(parent) p;
  EXECUTE format('WITH moved AS (DELETE FROM %s WHERE %I < 0 OR %2$I >= $1 RETURNING *) INSERT INTO %s SELECT * FROM moved', old, id_column, net)
    USING past;
  EXECUTE format('SELECT min(%I) / $1 * $1 FROM %s', id_column, old) INTO first USING day;
  IF first IS NULL THEN
    EXECUTE format('DROP TABLE %s', old);
  ELSE
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%s) TO (%s)', parent, old, first, past);
  END IF;
  LOOP
    SELECT m.state INTO made FROM partition_make(parent, 86400, 172800) m;
    EXIT WHEN made = 'NONE';
    IF made = 'BUSY' THEN RAISE EXCEPTION 'partitions of % are being made by somebody else', parent USING ERRCODE = 'lock_not_available'; END IF;
  END LOOP;
END $$;

-- ---- outbox and inbox ----

ALTER TABLE outbox RENAME TO outbox_unpartitioned;
CREATE TABLE outbox (LIKE outbox_unpartitioned INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (event_id);
ALTER INDEX outbox_pkey RENAME TO outbox_unpartitioned_pkey;
ALTER INDEX outbox_unsent RENAME TO outbox_unpartitioned_unsent;
ALTER INDEX outbox_sent RENAME TO outbox_unpartitioned_sent;
ALTER TABLE outbox ADD PRIMARY KEY (bucket, event_id);
CREATE INDEX outbox_unsent ON outbox (event_id) WHERE sent_at IS NULL;
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;
CREATE TABLE outbox_default PARTITION OF outbox DEFAULT;
SELECT partition_adopt('outbox', 'outbox_unpartitioned');

-- The age of an inbox's rows rises with their place in the table: a summary per range of pages is enough, and costs an insert nothing.
ALTER TABLE inbox RENAME TO inbox_unpartitioned;
CREATE TABLE inbox (LIKE inbox_unpartitioned INCLUDING DEFAULTS) PARTITION BY RANGE (event_id);
ALTER INDEX inbox_pkey RENAME TO inbox_unpartitioned_pkey;
ALTER INDEX inbox_age RENAME TO inbox_unpartitioned_age;
ALTER TABLE inbox ADD PRIMARY KEY (topic, event_id);
CREATE INDEX inbox_age ON inbox USING brin (handled_at) WITH (autosummarize = on);
CREATE TABLE inbox_default PARTITION OF inbox DEFAULT;
SELECT partition_adopt('inbox', 'inbox_unpartitioned');
