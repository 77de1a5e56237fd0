-- no-transaction
DROP INDEX CONCURRENTLY appointments_unsettled_idx;
