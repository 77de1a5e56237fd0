ALTER TABLE invoices DROP COLUMN tax_rate_basis_points;
DROP TABLE invoice_counters;
