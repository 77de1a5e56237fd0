-- no-transaction
-- The oldest rows of a tenant, for retention. The other histories have such an index already.
CREATE INDEX CONCURRENTLY IF NOT EXISTS customer_audits_tenant_id_created_at_idx ON customer_audits (tenant_id, created_at);
CREATE INDEX CONCURRENTLY IF NOT EXISTS vehicle_audits_tenant_id_created_at_idx ON vehicle_audits (tenant_id, created_at);
CREATE INDEX CONCURRENTLY IF NOT EXISTS vehicle_audit_log_tenant_id_performed_at_idx ON vehicle_audit_log (tenant_id, performed_at);
CREATE INDEX CONCURRENTLY IF NOT EXISTS inbound_messages_tenant_id_received_at_idx ON inbound_messages (tenant_id, received_at);
