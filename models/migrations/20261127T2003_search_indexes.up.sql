-- no-transaction
-- What a search reads of every row of a shop, and nothing else, so that it need not read the tables (ADR 13).
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_search_idx ON customers (tenant_id, id) INCLUDE (name, email, phone, phone_digits) WHERE deleted_at IS NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS vehicles_search_idx ON vehicles (tenant_id, customer_id, id) INCLUDE (license_plate, plate_key) WHERE is_active;
