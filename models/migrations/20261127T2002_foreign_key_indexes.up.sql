-- Foreign keys that no index served: a delete of what they point at read the whole table.
CREATE INDEX service_operations_tenant_id_replaced_by_id_idx ON service_operations (tenant_id, replaced_by_id) WHERE replaced_by_id IS NOT NULL;
CREATE INDEX staff_users_default_tenant_id_idx ON staff_users (default_tenant_id) WHERE default_tenant_id IS NOT NULL;
