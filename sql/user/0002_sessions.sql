-- Refresh tokens carry a proof of their own (handlers/views.h): every earlier one of a session is recognised, not the
-- last one alone.

ALTER TABLE session DROP COLUMN previous_hash;
