-- no-transaction
DROP INDEX CONCURRENTLY IF EXISTS inbound_messages_tenant_id_received_at_idx;
DROP INDEX CONCURRENTLY IF EXISTS vehicle_audit_log_tenant_id_performed_at_idx;
DROP INDEX CONCURRENTLY IF EXISTS vehicle_audits_tenant_id_created_at_idx;
DROP INDEX CONCURRENTLY IF EXISTS customer_audits_tenant_id_created_at_idx;
