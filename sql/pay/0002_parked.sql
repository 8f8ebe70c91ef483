-- Parked money is told by amount and age: what was notified that does not fit, and since when it waits for an operator.

ALTER TABLE payment ADD COLUMN parked_at timestamptz;
ALTER TABLE payment ADD COLUMN received_minor int8;
ALTER TABLE payment ADD COLUMN received_currency text;
UPDATE payment SET parked_at = now() WHERE parked;
