-- What lists and the door need besides.

-- When the show starts, so that a buyer's lists can tell coming from past without the snapshot.
ALTER TABLE inventory ADD COLUMN starts_at timestamptz;
-- And when it is on sale, so that its inventory is warm before.
ALTER TABLE inventory ADD COLUMN opens_at timestamptz;
ALTER TABLE inventory ADD COLUMN closes_at timestamptz;

-- Which issue of the ticket's code is good; older codes are void (docs/ticket-code.md).
ALTER TABLE tickets ADD COLUMN issue int2 NOT NULL DEFAULT 1;

-- In which currency the money came and goes back: that of the payment, which may not be the order's.
ALTER TABLE refund_due ADD COLUMN currency text;
