-- no-transaction
-- Work that somebody still owes for, or whose price is the sum of its lines: a few hundred of many thousand rows, which the
-- dashboard adds up on every visit.
CREATE INDEX CONCURRENTLY appointments_unsettled_idx ON appointments (tenant_id, id)
  WHERE deleted_at IS NULL AND status IN ('IN_PROGRESS', 'READY', 'COMPLETED')
    AND (total_cents > paid_cents OR coalesce(total_cents, 0) = 0);
