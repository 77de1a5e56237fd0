-- Distributes the tables over the nodes of a Citus cluster (12 or later) by tenant. Run once, as owner, on the coordinator, after the
-- migrations and before the first row: psql "$DATABASE_MIGRATION_URL" --single-transaction -v ON_ERROR_STOP=1 -f deploy/citus/distribute.sql
-- A contract test holds this list against the schema: every table is here once, and every key qualifies. It was never run on a cluster.

-- Small and asked for before a tenant is known: a copy on every node, so that foreign keys from distributed tables can point at them.
SELECT create_reference_table('tenants');
SELECT create_reference_table('staff_users');
SELECT create_reference_table('staff_tenant_memberships');

-- Found by token, not by tenant, and written often: they stay on the coordinator, with foreign keys to reference tables only.
SELECT citus_add_local_table_to_metadata('sessions');
SELECT citus_add_local_table_to_metadata('refresh_tokens');
SELECT citus_add_local_table_to_metadata('password_resets');
SELECT citus_add_local_table_to_metadata('schema_migrations');
SELECT citus_add_local_table_to_metadata('statement_counters');
SELECT citus_add_local_table_to_metadata('statement_profiles');

-- All of one shop on one node. Parents come before what points at them.
SELECT create_distributed_table('customers', 'tenant_id');
SELECT create_distributed_table('tenant_settings', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('customer_auth', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('user_tenant_memberships', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('vehicles', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('technicians', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('service_operations', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('package_items', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('appointments', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('appointment_vehicles', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('appointment_status_history', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('appointment_services', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('invoices', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('invoice_counters', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('invoice_line_items', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('payments', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('message_templates', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('messages', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('inbound_messages', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('template_usage_events', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('notification_log', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('customer_notes', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('customer_audits', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('vehicle_audits', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('vehicle_audit_log', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('audit_logs', 'tenant_id', colocate_with => 'customers');
SELECT create_distributed_table('idempotency_keys', 'tenant_id', colocate_with => 'customers');
