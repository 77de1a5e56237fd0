-- no-transaction
DROP INDEX CONCURRENTLY IF EXISTS vehicles_search_idx;
DROP INDEX CONCURRENTLY IF EXISTS customers_search_idx;
