-- The next invoice number of each tenant. Whoever creates an invoice increments the row in the same transaction, so that numbers
-- have no gap: a rolled-back invoice gives its number back, and rivals wait for the row.
CREATE TABLE invoice_counters (
  tenant_id uuid CONSTRAINT invoice_counters_pk PRIMARY KEY
    CONSTRAINT invoice_counters_tenant_id_fk REFERENCES tenants (id) ON DELETE CASCADE,
  next bigint NOT NULL CONSTRAINT invoice_counters_next_check CHECK (next > 0)
);

-- The rate in force when the invoice was made: packages added later are taxed alike, whatever the setting says by then.
ALTER TABLE invoices ADD COLUMN tax_rate_basis_points integer NOT NULL DEFAULT 0
  CONSTRAINT invoices_tax_rate_basis_points_check CHECK (tax_rate_basis_points BETWEEN 0 AND 10000);

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['invoice_counters'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY %I ON %I FOR SELECT USING (tenant_id = (SELECT current_tenant_id()))', name || '_rls_select', name);
    EXECUTE format('CREATE POLICY %I ON %I FOR INSERT WITH CHECK (tenant_id = (SELECT current_tenant_id()))', name || '_rls_insert', name);
    EXECUTE format('CREATE POLICY %I ON %I FOR UPDATE USING (tenant_id = (SELECT current_tenant_id())) WITH CHECK (tenant_id = (SELECT current_tenant_id()))', name || '_rls_update', name);
    EXECUTE format('CREATE POLICY %I ON %I FOR DELETE USING (tenant_id = (SELECT current_tenant_id()))', name || '_rls_delete', name);
  END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE ON invoice_counters TO autoshop_app;
