-- Notifications are kept for a while and dropped by partition (docs/adr/0008-partitions-by-id.md): by the payment's id, which carries its time.

ALTER TABLE notification RENAME TO notification_unpartitioned;
CREATE TABLE notification (LIKE notification_unpartitioned INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (payment_id);
ALTER INDEX notification_pkey RENAME TO notification_unpartitioned_pkey;
ALTER TABLE notification ADD PRIMARY KEY (bucket, payment_id, digest);
CREATE TABLE notification_default PARTITION OF notification DEFAULT;
-- Rows that only the DEFAULT partition can hold are deleted by age.
CREATE INDEX notification_default_age ON notification_default (received_at);
SELECT partition_adopt('notification', 'notification_unpartitioned');
