-- Orders, tickets and the fence. Every key begins with bucket (hash of the show), so that the same SQL shards later.

-- The fence row of a show: which generation may commit, on which terms, and whether at all.
CREATE TABLE inventory (
  bucket       int2 NOT NULL,
  show_id      int8 NOT NULL,
  organiser_id int8 NOT NULL,
  epoch        int8 NOT NULL DEFAULT 0,
  terms        int4 NOT NULL,                 -- = version of the sale snapshot
  sale_state   int2 NOT NULL DEFAULT 1,       -- SaleState: 1 ON_SALE, 2 PAUSED, 3 WITHDRAWN
  offer_sequence int8 NOT NULL DEFAULT 0,     -- of the last show.offer event
  offer_places int2 NOT NULL DEFAULT 0,       -- OfferState last told
  offer_sale_state int2 NOT NULL DEFAULT 0,   -- SaleState last told
  PRIMARY KEY (bucket, show_id)
);

-- Sale snapshots as program published them.
CREATE TABLE sale_snapshot (
  bucket      int2 NOT NULL,
  show_id     int8 NOT NULL,
  version     int4 NOT NULL,
  digest      bytea NOT NULL,
  data        bytea NOT NULL,
  stored_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (bucket, show_id, version)
);

CREATE TABLE orders (
  bucket       int2 NOT NULL,
  order_no     int8 NOT NULL,
  kind         int2 NOT NULL DEFAULT 1,       -- 1 SALE, 2 BLOCK
  show_id      int8 NOT NULL,
  organiser_id int8,
  user_id      int8,                          -- NULL in a tombstone
  request_id   text,
  body_hash    text,
  state        int2 NOT NULL,                 -- OrderState; 9 TOMBSTONE: never committed, never will be
  cancel_reason int2 NOT NULL DEFAULT 0,      -- CancelReason
  epoch        int8 NOT NULL DEFAULT 0,
  terms        int4 NOT NULL DEFAULT 0,
  currency     text,
  total_minor  int8 NOT NULL DEFAULT 0,
  n_tickets    int2 NOT NULL DEFAULT 0,
  adjacent     boolean NOT NULL DEFAULT false,
  created_at   timestamptz NOT NULL,
  pay_by_at    timestamptz,
  release_at   timestamptz,
  paid_at      timestamptz,
  cancelled_at timestamptz,
  payment_id   int8,                          -- the payment that made it PAID
  trace        text,                          -- request id of the call that made it
  PRIMARY KEY (bucket, order_no),
  CONSTRAINT orders_key UNIQUE (bucket, show_id, user_id, request_id)
) WITH (fillfactor = 85);
CREATE INDEX orders_of_user ON orders (user_id, order_no DESC) WHERE user_id IS NOT NULL;
CREATE INDEX orders_of_show ON orders (bucket, show_id);
CREATE INDEX orders_due ON orders (bucket, release_at) WHERE state = 1;
CREATE INDEX orders_tombstone ON orders (created_at) WHERE state = 9;

CREATE TABLE tickets (
  bucket       int2 NOT NULL,
  order_no     int8 NOT NULL,
  place_no     int4 NOT NULL,
  ticket_id    int8 NOT NULL,
  show_id      int8 NOT NULL,
  tier         int2 NOT NULL,
  price_minor  int8 NOT NULL,
  attendee_id  int8,
  attendee_name text,
  attendee_id_masked text,
  person       text,
  live         boolean NOT NULL DEFAULT true,
  used_at      timestamptz,
  used_door    text,
  PRIMARY KEY (bucket, order_no, place_no)
) WITH (fillfactor = 90);
-- The last line: a place is in at most one live ticket.
CREATE UNIQUE INDEX tickets_live ON tickets (bucket, show_id, place_no) WHERE live;
CREATE UNIQUE INDEX tickets_person ON tickets (bucket, show_id, person) WHERE live AND person IS NOT NULL;
CREATE UNIQUE INDEX tickets_id ON tickets (bucket, ticket_id);

-- Payments of an order as pay told them.
CREATE TABLE order_payment (
  bucket       int2 NOT NULL,
  order_no     int8 NOT NULL,
  payment_id   int8 NOT NULL,
  method       text NOT NULL,
  amount_minor int8 NOT NULL,
  state        text NOT NULL,                 -- SUCCEEDED, FAILED, CLOSED
  at           timestamptz NOT NULL,
  PRIMARY KEY (bucket, order_no, payment_id)
);

-- Money that goes back: decided here, carried out by pay.
CREATE TABLE refund_due (
  bucket       int2 NOT NULL,
  payment_id   int8 NOT NULL,
  refund_id    int8 NOT NULL,
  order_no     int8 NOT NULL,
  amount_minor int8 NOT NULL,
  reason       text NOT NULL,                 -- LATE_PAYMENT, SECOND_PAYMENT, OPERATOR
  note         text,
  state        text NOT NULL DEFAULT 'PROCESSING', -- PROCESSING, SUCCEEDED, PARKED
  requested_at timestamptz NOT NULL,
  succeeded_at timestamptz,
  PRIMARY KEY (bucket, payment_id)
);
CREATE INDEX refund_due_order ON refund_due (bucket, order_no);

-- Orders whose inventory in Redis must follow a change already committed; deleted once Redis answered OK.
CREATE TABLE settle_queue (
  bucket       int2 NOT NULL,
  order_no     int8 NOT NULL,
  show_id      int8 NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (bucket, order_no)
);
