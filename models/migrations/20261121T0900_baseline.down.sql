-- Roles and extensions belong to the whole server or to other databases' needs; they stay.
DROP FUNCTION enqueue_job(text, json, timestamptz, integer, text);
DROP TABLE
  idempotency_keys, audit_logs, vehicle_audit_log, vehicle_audits, customer_audits, customer_notes, messages, payments,
  invoice_line_items, invoices, appointment_services, appointment_status_history, appointment_vehicles, appointments,
  package_items, service_operations, technicians, vehicles, user_tenant_memberships, customer_auth, customers, tenant_settings,
  password_resets, refresh_tokens, sessions, staff_tenant_memberships, staff_users, tenants;
DROP FUNCTION dollars(bigint);
DROP FUNCTION iso_utc(timestamptz);
DROP FUNCTION plate_key(text);
DROP FUNCTION phone_digits(text);
DROP FUNCTION current_tenant_id();
